"""Scores: frame accuracy, majority vote over a track's frames, the segment classifiers (Tables 2 and 4), and how sure
one can be of them. The paper gives no intervals and no tests.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lstmgenre.errors import DataError

MAJORITY_VOTE = "majority vote"

Interval = tuple[float, float]

_CONFIDENCE = 0.95
_RESAMPLES = 9999
_SEED = 777


@dataclass(frozen=True)
class Accuracy:
    """Right decisions out of all, over frames or over tracks."""

    correct: int
    total: int

    @property
    def rate(self) -> float:
        return self.correct / self.total if self.total else float("nan")

    @property
    def wilson(self) -> Interval:
        """Wilson's 95 % interval for independent decisions: those on tracks are, those on frames are not."""
        if not self.total:
            return 0.0, 1.0
        from scipy import stats  # takes half a second to import, and naming a genre does without

        interval = stats.binomtest(self.correct, self.total).proportion_ci(_CONFIDENCE, method="wilson")
        return float(interval.low), float(interval.high)

    def as_dict(self) -> dict[str, Any]:
        return {"accuracy": self.rate if self.total else None, "correct": self.correct, "total": self.total}


@dataclass
class FrameScore:
    """Decisions on frames: for each track how many are right, of how many."""

    tracks: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(sum(right for right, _ in self.tracks.values()), sum(n for _, n in self.tracks.values()))

    @cached_property
    def interval(self) -> Interval:
        """95 % percentile bootstrap over tracks, seeded: the frames of a track are right or wrong together."""
        if len(self.tracks) < 2:
            return 0.0, 1.0  # one track says nothing of others
        from scipy import stats

        interval = stats.bootstrap(
            tuple(np.array(list(self.tracks.values())).T),
            lambda right, frames, axis: right.sum(axis) / frames.sum(axis),
            paired=True,
            vectorized=True,
            n_resamples=_RESAMPLES,
            batch=100,  # resamples in memory at a time
            confidence_level=_CONFIDENCE,
            method="percentile",
            random_state=np.random.default_rng(_SEED),
        ).confidence_interval
        return float(interval.low), float(interval.high)

    def as_dict(self) -> dict[str, Any]:
        return {**self.accuracy.as_dict(), "interval": self.interval, "by_track": dict(sorted(self.tracks.items()))}


@dataclass
class TrackScore:
    """Decisions on whole tracks: utterance -> genre, as it is and as it was called."""

    genres: Sequence[str]
    truth: dict[str, str] = field(default_factory=dict)
    predictions: dict[str, str] = field(default_factory=dict)

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(sum(self.is_right(utterance) for utterance in self.predictions), len(self.predictions))

    @property
    def interval(self) -> Interval:
        return self.accuracy.wilson

    @property
    def confusion(self) -> np.ndarray:
        """(C, C) counts: [t, p] of the tracks of genre t that were called p."""
        counts = np.zeros((len(self.genres), len(self.genres)), dtype=np.int64)
        for utterance, predicted in self.predictions.items():
            counts[self.genres.index(self.truth[utterance]), self.genres.index(predicted)] += 1
        return counts

    @property
    def recalls(self) -> dict[str, Accuracy]:
        """Genre -> right tracks out of its own; genres without a track are left out."""
        counts = self.confusion
        return {
            genre: Accuracy(int(row[k]), int(row.sum()))
            for k, (genre, row) in enumerate(zip(self.genres, counts, strict=True))
            if row.any()
        }

    @property
    def macro_recall(self) -> float:
        """Mean recall of the genres: what is left of the accuracy where a large genre counts no more than a small."""
        rates = [recall.rate for recall in self.recalls.values()]
        return sum(rates) / len(rates) if rates else float("nan")

    def on(self, utterances: Collection[str]) -> TrackScore:
        """The decisions on these tracks alone."""
        of = {utterance: genre for utterance, genre in self.predictions.items() if utterance in utterances}
        return TrackScore(self.genres, {utterance: self.truth[utterance] for utterance in of}, of)

    def is_right(self, utterance: str) -> bool:
        return self.predictions[utterance] == self.truth[utterance]

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.accuracy.as_dict(),
            "interval": self.interval,
            "recall": {genre: recall.rate for genre, recall in self.recalls.items()},
            "macro_recall": self.macro_recall if self.predictions else None,
            "confusion": self.confusion.tolist(),
            "predictions": dict(sorted(self.predictions.items())),
        }


class McNemar(NamedTuple):
    """Two systems on the same tracks: how many only one of them got right, and how likely chance alone splits them
    so unevenly (two-sided)."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: TrackScore, second: TrackScore) -> McNemar:
    """McNemar's exact test, over the tracks that both systems were scored on; p = 1 where they never differ."""
    from scipy import stats

    common = first.predictions.keys() & second.predictions.keys()
    only_first = sum(first.is_right(track) and not second.is_right(track) for track in common)
    only_second = sum(second.is_right(track) and not first.is_right(track) for track in common)
    differing = only_first + only_second
    p = stats.binomtest(only_first, differing).pvalue if differing else 1.0
    return McNemar(only_first, only_second, float(p))


def vote_shares(posteriors: np.ndarray) -> np.ndarray:
    """What each class gets in the majority vote, from 0 to 1: its share of the frames, where one more vote, cast in
    the shares of the mean posterior, settles ties.

    Shape: (frames, C) -> (C,). The paper does not say how it breaks ties.
    """
    votes = np.bincount(posteriors.argmax(axis=1), minlength=posteriors.shape[1])
    return (votes + posteriors.mean(axis=0, dtype=np.float64)) / (len(posteriors) + 1)


def majority_vote(posteriors: np.ndarray) -> int:
    """The class that wins most frames; among equals, the one with the larger mean posterior, then the first.

    Shape: (frames, C) -> class index.
    """
    return int(vote_shares(posteriors).argmax())


@dataclass
class Report:
    """All scores of one test set: frames, the majority vote, and segment classifiers by name.

    `genres` gives the order of the classes in posteriors. Adding raises DataError on a track without a genre, a genre
    outside `genres`, and posteriors over another number of classes.
    """

    genres: Sequence[str]
    frames: FrameScore | None = None
    tracks: dict[str, TrackScore] = field(default_factory=dict)
    known: set[str] | None = None
    """The tracks by artists of the training data; None where that was not looked at."""
    unknown: set[str] = field(default_factory=set)
    """The tracks whose artist is not known, so that the training data may have them."""
    unknown_trained: int = 0
    """How many tracks of the training data are by unknown artists."""

    seen: set[str] = field(default_factory=set)
    """The tracks that a model learnt from: with any of them this is no test score."""

    def as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"

    def add_posteriors(self, posteriors: Iterable[tuple[str, np.ndarray]], utt2genre: Mapping[str, str]) -> None:
        """Score (utterance, (frames, C)) frame by frame and by majority vote."""
        self.frames = FrameScore()
        votes = {}
        for utterance, matrix in posteriors:
            truth = self.genres.index(self._truth(utterance, utt2genre))
            if matrix.shape[1] != len(self.genres):
                raise DataError(
                    f"{utterance}: posteriors over {matrix.shape[1]} classes, but there are {len(self.genres)} genres"
                )
            self.frames.tracks[utterance] = int((matrix.argmax(axis=1) == truth).sum()), len(matrix)
            votes[utterance] = self.genres[majority_vote(matrix)]
        self.add_tracks(MAJORITY_VOTE, votes, utt2genre)

    def add_tracks(self, name: str, predictions: Mapping[str, str], utt2genre: Mapping[str, str]) -> None:
        """Score one decision per track, as a segment classifier makes it. Raises DataError if `name` has a score."""
        if name in self.tracks:
            raise DataError(f"{name}: two systems of this name to score: rename one")
        score = self.tracks[name] = TrackScore(self.genres)
        for utterance, genre in predictions.items():
            score.truth[utterance] = self._truth(utterance, utt2genre)
            if genre not in self.genres:
                raise DataError(f"{utterance}: {name} says {genre!r}, which is not among {', '.join(self.genres)}")
            score.predictions[utterance] = genre

    def add_artists(self, tested: Mapping[str, str], trained: Mapping[str, str]) -> None:
        """Note which tracks are by artists of the training data: both map utterances to artists.

        An utterance that is its own artist, as its own speaker in Kaldi, is by one who is not known.
        """
        artists = {artist for utterance, artist in trained.items() if artist != utterance}
        self.unknown = {utterance for utterance in self.truth if tested.get(utterance) == utterance}
        self.known = {utterance for utterance in self.truth if tested.get(utterance) in artists} - self.unknown
        self.unknown_trained = sum(artist == utterance for utterance, artist in trained.items())

    def by_artists(self, name: str) -> dict[str, TrackScore]:
        """A system's decisions on tracks of known artists, others and unknown ones, where not all are of one kind."""
        score = self.tracks[name]
        known, unknown = ((tracks or set()) & score.predictions.keys() for tracks in (self.known, self.unknown))
        others = score.predictions.keys() - known - unknown
        of = {"known artists": known, "other artists": others, "unknown artists": unknown}
        parts = {artists: score.on(tracks) for artists, tracks in of.items() if tracks}
        return parts if len(parts) > 1 else {}

    @property
    def truth(self) -> dict[str, str]:
        """The genre of every track that a system was scored on."""
        return {utterance: genre for score in self.tracks.values() for utterance, genre in score.truth.items()}

    def missing(self, utt2genre: Mapping[str, str]) -> dict[str, list[str]]:
        """Per system the labelled tracks that it was not scored on, where there are any."""
        missing = {name: sorted(set(utt2genre) - set(score.predictions)) for name, score in self.tracks.items()}
        return {name: tracks for name, tracks in missing.items() if tracks}

    def as_dict(self) -> dict[str, Any]:
        return {
            "genres": list(self.genres),
            "truth": dict(sorted(self.truth.items())),
            "frames": self.frames.as_dict() if self.frames else None,
            "tracks": {name: self.tracks_as_dict(name) for name in self.tracks},
            "known_artists": None if self.known is None else sorted(self.known),
            "unknown_artists": sorted(self.unknown),
            "unknown_trained": self.unknown_trained,
            "seen": sorted(self.seen),
        }

    def as_lines(self) -> list[str]:
        """Accuracies with 95 % intervals, then a confusion matrix per system: rows are the true genres."""
        lines = [f"no test score: {self.about_seen()}"] if self.seen else []
        lines += [_line("frames", self.frames)] if self.frames else []
        for name, score in self.tracks.items():
            lines.append(_line(name, score))
            lines += [_line(f" {artists}", part) for artists, part in self.by_artists(name).items()]
        if self.known is not None:
            lines += self._about_artists()
        for name, score in self.tracks.items():
            lines += ["", f"{name}: rows are the true genre, columns the decision", *_matrix(score)]
        return lines

    def about_seen(self) -> str:
        return f"{len(self.seen)} of {len(self.truth)} tracks trained the model, {min(self.seen)} among them"

    def _about_artists(self) -> Iterator[str]:
        total = len(self.truth)
        if len(self.unknown) < total:
            yield f"{len(self.known or ())} of {total} tracks are by artists of the training data"
        if self.unknown or self.unknown_trained:
            counts = f"{len(self.unknown)} of {total} tracks, and of {self.unknown_trained} of the training data"
            yield f"artist unknown of {counts}: these may share artists"

    def tracks_as_dict(self, name: str) -> dict[str, Any]:
        """A system's decisions on tracks, and what they sum up to."""
        parts = self.by_artists(name).items()
        by_artists = {artists: score.accuracy.as_dict() for artists, score in parts}
        return {**self.tracks[name].as_dict(), "by_artists": by_artists}

    def _truth(self, utterance: str, utt2genre: Mapping[str, str]) -> str:
        if utterance not in utt2genre:
            raise DataError(f"{utterance}: has no line in utt2genre: add one, or leave the track out")
        if utt2genre[utterance] not in self.genres:
            raise DataError(
                f"{utterance}: unknown genre {utt2genre[utterance]!r}: the genres are {', '.join(self.genres)}"
            )
        return utt2genre[utterance]


def _line(name: str, score: FrameScore | TrackScore) -> str:
    accuracy, (low, high) = score.accuracy, score.interval
    line = f"{name:<14} {accuracy.rate:8.2%}  [{low:.2%}, {high:.2%}]  ({accuracy.correct} of {accuracy.total})"
    return f"{line}  macro recall {score.macro_recall:.2%}" if isinstance(score, TrackScore) else line


def _matrix(score: TrackScore) -> list[str]:
    width = max(6, *(len(genre) for genre in score.genres))
    head = " " * width + "".join(f" {genre[:7]:>7}" for genre in score.genres)
    body = [
        f"{genre:<{width}}" + "".join(f" {count:>7}" for count in row)
        for genre, row in zip(score.genres, score.confusion, strict=True)
    ]
    return [head, *body]
