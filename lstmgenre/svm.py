"""The segment classifier: standardised inputs, then a linear SVM (section 4.2 of the paper).

The paper names neither the toolkit nor C; ours is scikit-learn's SVC (libsvm, one against one) with C = 1. It is stored
with skops, which holds arrays and a description of the estimator and nothing that can run.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skops.io
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.files import atomic_output

C = 1.0


@dataclass
class SegmentSvm:
    """A trained classifier of segment vectors, (dim,) -> genre."""

    genres: list[str]
    pipeline: Pipeline

    @property
    def dim(self) -> int:
        return self.pipeline.n_features_in_

    def predict(self, vectors: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Genre of every segment vector (dim,). Raises ModelError on another dimension than it was trained on."""
        for utterance, vector in vectors.items():
            if vector.shape != (self.dim,):
                raise ModelError(
                    f"{utterance}: segment vector of {vector.size} numbers, but the SVM was trained on {self.dim}: "
                    "pool with the options (--fuse) that it was trained with"
                )
        if not vectors:
            return {}
        classes = self.pipeline.predict(np.stack(list(vectors.values())))
        return {utterance: self.genres[k] for utterance, k in zip(vectors, classes, strict=True)}

    def save(self, directory: Path) -> None:
        """Write svm.skops and genres into `directory`, each whole or not at all."""
        with atomic_output(directory / "svm.skops", "wb") as stream:
            skops.io.dump(self.pipeline, stream)
        with atomic_output(directory / "genres") as stream:
            stream.write("".join(f"{genre}\n" for genre in self.genres))

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
        return cls(genres, pipeline)


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
