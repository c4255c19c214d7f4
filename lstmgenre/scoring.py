"""Scores: frame accuracy, majority vote over a track's frames, and the segment classifiers (Tables 2 and 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstmgenre.errors import DataError

MAJORITY_VOTE = "majority vote"


@dataclass
class Accuracy:
    """Right decisions out of all, over frames or over tracks."""

    correct: int = 0
    total: int = 0

    @property
    def rate(self) -> float:
        return self.correct / self.total if self.total else float("nan")

    def as_dict(self) -> dict[str, Any]:
        return {"accuracy": self.rate, "correct": self.correct, "total": self.total}


@dataclass
class TrackScore:
    """Decisions on whole tracks: `confusion[t, p]` counts tracks of genre t that were called p."""

    genres: Sequence[str]
    predictions: dict[str, str] = field(default_factory=dict)
    confusion: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((len(self.genres), len(self.genres)), dtype=np.int64)

    def add(self, utterance: str, truth: int, predicted: int) -> None:
        self.predictions[utterance] = self.genres[predicted]
        self.confusion[truth, predicted] += 1

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.accuracy.as_dict(),
            "confusion": self.confusion.tolist(),
            "predictions": dict(sorted(self.predictions.items())),
        }


def majority_vote(posteriors: np.ndarray) -> int:
    """The class that wins most frames; among equals, the one with the larger mean posterior, then the first.

    Shape: (frames, C) -> class index. The paper does not say how it breaks ties.
    """
    votes = np.bincount(posteriors.argmax(axis=1), minlength=posteriors.shape[1])
    tied = np.flatnonzero(votes == votes.max())
    return int(tied[posteriors[:, tied].mean(axis=0, dtype=np.float64).argmax()])


@dataclass
class Report:
    """All scores of one test set: frames, the majority vote, and segment classifiers by name.

    `genres` gives the order of the classes in posteriors. Adding raises DataError on a track without a genre, a genre
    outside `genres`, and posteriors over another number of classes.
    """

    genres: Sequence[str]
    frames: Accuracy | None = None
    tracks: dict[str, TrackScore] = field(default_factory=dict)

    def add_posteriors(self, posteriors: Iterable[tuple[str, np.ndarray]], utt2genre: Mapping[str, str]) -> None:
        """Score (utterance, (frames, C)) frame by frame and by majority vote."""
        self.frames = Accuracy()
        votes = self.tracks[MAJORITY_VOTE] = TrackScore(self.genres)
        for utterance, matrix in posteriors:
            truth = self._truth(utterance, utt2genre)
            if matrix.shape[1] != len(self.genres):
                raise DataError(
                    f"{utterance}: posteriors over {matrix.shape[1]} classes, but there are {len(self.genres)} genres"
                )
            self.frames.correct += int((matrix.argmax(axis=1) == truth).sum())
            self.frames.total += len(matrix)
            votes.add(utterance, truth, majority_vote(matrix))

    def add_tracks(self, name: str, predictions: Mapping[str, str], utt2genre: Mapping[str, str]) -> None:
        """Score one decision per track, as a segment classifier makes it."""
        score = self.tracks[name] = TrackScore(self.genres)
        for utterance, genre in predictions.items():
            truth = self._truth(utterance, utt2genre)
            if genre not in self.genres:
                raise DataError(f"{utterance}: {name} says {genre!r}, which is not among {', '.join(self.genres)}")
            score.add(utterance, truth, self.genres.index(genre))

    def missing(self, utt2genre: Mapping[str, str]) -> dict[str, list[str]]:
        """Per system the labelled tracks that it was not scored on, where there are any."""
        missing = {name: sorted(set(utt2genre) - set(score.predictions)) for name, score in self.tracks.items()}
        return {name: tracks for name, tracks in missing.items() if tracks}

    def as_dict(self) -> dict[str, Any]:
        return {
            "genres": list(self.genres),
            "frames": self.frames.as_dict() if self.frames else None,
            "tracks": {name: score.as_dict() for name, score in self.tracks.items()},
        }

    def as_text(self) -> str:
        """Accuracies, then a confusion matrix per system: rows are the true genres."""
        rows = [("frames", self.frames)] if self.frames else []
        rows += [(name, score.accuracy) for name, score in self.tracks.items()]
        lines = [f"{name:<14} {a.rate:8.2%}  ({a.correct} of {a.total})" for name, a in rows if a]
        for name, score in self.tracks.items():
            lines += ["", f"{name}: rows are the true genre, columns the decision", *_matrix(score)]
        return "\n".join(lines)

    def _truth(self, utterance: str, utt2genre: Mapping[str, str]) -> int:
        if utterance not in utt2genre:
            raise DataError(f"{utterance}: has no line in utt2genre: add one, or leave the track out")
        if utt2genre[utterance] not in self.genres:
            raise DataError(
                f"{utterance}: unknown genre {utt2genre[utterance]!r}: the genres are {', '.join(self.genres)}"
            )
        return self.genres.index(utt2genre[utterance])


def _matrix(score: TrackScore) -> list[str]:
    width = max(6, *(len(genre) for genre in score.genres))
    head = " " * width + "".join(f" {genre[:7]:>7}" for genre in score.genres)
    body = [
        f"{genre:<{width}}" + "".join(f" {count:>7}" for count in row)
        for genre, row in zip(score.genres, score.confusion, strict=True)
    ]
    return [head, *body]
