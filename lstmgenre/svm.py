"""The segment classifier: standardised inputs, then a linear SVM (section 4.2 of the paper).

The paper names neither the toolkit nor C; ours is scikit-learn's SVC (libsvm, one against one) with C = 1. It is stored
with skops, which holds arrays and a description of the estimator and nothing that can run.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skops.io
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.files import atomic_output
from lstmgenre.segments import THRESHOLD, Pooling, pool_all

C = 1.0

# What `select` chooses from, in the order of preference among equals: the paper's k and our C come first.
THRESHOLDS = (THRESHOLD, 0.8, 0.7, 0.6, 0.5, 0.95, 0.99)  # the range of the paper's figure 3
PENALTIES = (C, 0.1, 0.01, 0.001, 10.0)


@dataclass
class SegmentSvm:
    """A trained classifier of segment vectors, (dim,) -> genre; `pooling` is how they were made, where it is known."""

    genres: list[str]
    pipeline: Pipeline
    pooling: Pooling | None = None

    @property
    def dim(self) -> int:
        return self.pipeline.n_features_in_

    def predict(self, vectors: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Genre of every segment vector (dim,), the one of the largest score. Raises ModelError as `scores` does."""
        return {utterance: max(scores, key=scores.__getitem__) for utterance, scores in self.scores(vectors).items()}

    def scores(self, vectors: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Decision value of every genre for every segment vector (dim,).

        Of two genres it is the signed distance to the plane between them; of more, how many of the others a genre wins
        against, less or more a third at most by how clearly, which settles ties. Raises ModelError on another dimension
        than it was trained on.
        """
        for utterance, vector in vectors.items():
            if vector.shape != (self.dim,):
                raise ModelError(
                    f"{utterance}: segment vector of {vector.size} numbers, but the SVM was trained on {self.dim}: "
                    "pool with the options (--fuse) that it was trained with"
                )
        if not vectors:
            return {}
        values = self.pipeline.decision_function(np.stack(list(vectors.values())))
        if values.ndim == 1:  # two genres: scikit-learn gives the value of the second
            values = np.stack([-values, values], axis=1)
        genres = [self.genres[k] for k in self.pipeline.classes_]
        return {
            utterance: dict(zip(genres, row.tolist(), strict=True))
            for utterance, row in zip(vectors, values, strict=True)
        }

    def save(self, directory: Path) -> None:
        """Write svm.skops, genres and, where it is known, pooling.json into `directory`, each whole or not at all."""
        with atomic_output(directory / "svm.skops", "wb") as stream:
            skops.io.dump(self.pipeline, stream)
        with atomic_output(directory / "genres") as stream:
            stream.write("".join(f"{genre}\n" for genre in self.genres))
        (directory / "pooling.json").unlink(missing_ok=True)  # an older SVM's
        if self.pooling:
            self.pooling.write(directory / "pooling.json")

    @classmethod
    def load(cls, directory: Path) -> SegmentSvm:
        """Read what `save` wrote. Raises DataError if it is not there, FormatError if damaged or of other types."""
        model = directory / "svm.skops"
        try:
            genres = (directory / "genres").read_text(encoding="utf-8").split("\n")[:-1]
            untrusted = skops.io.get_untrusted_types(file=model)
            if untrusted:
                raise FormatError(f"{model}: holds types that an SVM has no need of ({untrusted[0]}): not loaded")
            pipeline = skops.io.load(model, trusted=[])
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}: train it with lstmgenre train-svm") from error
        except (zipfile.BadZipFile, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{model}: damaged or not an SVM of lstmgenre ({error}): train it again") from error
        if not (isinstance(pipeline, Pipeline) and isinstance(pipeline[-1], SVC)):
            raise FormatError(f"{model}: not an SVM of lstmgenre: train it with lstmgenre train-svm")
        if len(set(genres)) < len(genres) or len(genres) <= max(pipeline.classes_):
            raise FormatError(f"{directory / 'genres'}: not the genres that the SVM was trained on: train it again")
        return cls(genres, pipeline, Pooling.read(directory / "pooling.json"))


def train(
    vectors: Mapping[str, np.ndarray], utt2genre: Mapping[str, str], genres: list[str], c: float = C
) -> SegmentSvm:
    """Fit scaler and SVM on segment vectors (dim,), one per track.

    Raises DataError on a track with no or an unknown genre, on unequal dimensions, or with fewer than two genres.
    """
    index = {genre: k for k, genre in enumerate(genres)}
    for utterance, vector in vectors.items():
        if utterance not in utt2genre:
            raise DataError(
                f"{utterance}: has a segment vector but no line in utt2genre: add one, or leave the track out"
            )
        if utt2genre[utterance] not in index:
            raise DataError(f"{utterance}: unknown genre {utt2genre[utterance]!r}: the genres are {', '.join(genres)}")
        if vector.shape != next(iter(vectors.values())).shape:
            raise DataError(f"{utterance}: segment vector of {vector.size} numbers among ones of another size")
    labels = [index[utt2genre[utterance]] for utterance in vectors]
    if len(set(labels)) < 2:
        raise DataError(
            f"an SVM needs tracks of two genres or more, and there are {len(vectors)} tracks of {len(set(labels))}"
        )
    # probability=False and a linear kernel: training is deterministic.
    pipeline = make_pipeline(StandardScaler(), SVC(kernel="linear", C=c))
    pipeline.fit(np.stack(list(vectors.values())), labels)
    return SegmentSvm(genres, pipeline)


@dataclass(frozen=True)
class Choice:
    """A k of equation 14, a C, and how many of `total` tracks they get right in cross-validation."""

    threshold: float
    c: float
    correct: int
    total: int

    def as_toml(self) -> str:
        """Option defaults for pool-segments and train-svm, to be given as --config."""
        return (
            f"# by cross-validation, artists apart: {self.correct} of {self.total} tracks\n"
            f"[pool-segments]\nthreshold = {self.threshold}\n[train-svm]\nc = {self.c}\n"
        )


def select(
    data: DataDir,
    posteriors: Mapping[str, np.ndarray],
    features: Mapping[str, np.ndarray] | None = None,
    folds: int = 5,
    seed: int = 777,
) -> Iterator[Choice]:
    """Cross-validate every k of THRESHOLDS with every C of PENALTIES on the training tracks, an artist's in one fold.

    `posteriors` (frames, classes) and, for fused vectors, `features` (frames, dim) of each track of `data`. The paper's
    values come first, so that max() keeps them among equals. Raises DataError where folds or pooling do.
    """
    divisions = data.subset(posteriors).folds(folds, seed)
    for threshold in THRESHOLDS:
        vectors = dict(pool_all(posteriors.items(), threshold, features))
        for c in PENALTIES:
            correct = 0
            for training, held_out in divisions:
                model = train({u: vectors[u] for u in training.utterances}, data.utt2genre, data.genres, c)
                predicted = model.predict({u: vectors[u] for u in held_out.utterances})
                correct += sum(data.utt2genre[utterance] == genre for utterance, genre in predicted.items())
            yield Choice(threshold, c, correct, len(vectors))
