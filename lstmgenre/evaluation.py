"""Somebody's own statistic and classifier in the place of the paper's, to be scored beside the other systems.

The statistic makes a vector of a track's posteriors, in the place of equations 11-14; the classifier decides on it, in
the place of the SVM. Neither is kept: what stays is a decision a track.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lstmgenre.errors import DataError
from lstmgenre.scoring import Report, TrackScore
from lstmgenre.tables import write_map
from lstmgenre.tables.rules import as_array

logger = logging.getLogger(__name__)

Matrices = Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]
Tracks = tuple[Matrices, Mapping[str, str]]
"""Posteriors (frames, classes) by utterance, as read_table gives them, and utt2genre: what is in both."""

Statistic = Callable[[np.ndarray], npt.ArrayLike]
"""Of the posteriors (frames, classes) of a track: (dim,), with as many numbers for every track."""


class Classifier(Protocol):
    """What scikit-learn calls so: X is (tracks, dim), y the genre of each."""

    def fit(self, X: Any, y: Any, /) -> Any: ...
    def predict(self, X: Any, /) -> Any: ...


def evaluate(
    train: Tracks,
    test: Tracks,
    statistic: Statistic,
    classifier: Classifier,
    decisions: str | os.PathLike[str] | None = None,
) -> TrackScore:
    """Fit `classifier` on the `statistic` of training tracks, and score what it decides on those of test tracks.

    The lines `utterance genre` for `lstmgenre score --decisions` go to the file `decisions`, whole or not at all.
    Raises DataError where there are no tracks, a track is in both, the statistic is no vector of finite numbers, or
    the decision no genre. What the two raise themselves is left as it is.

    Examples
    --------
    How far a genre's posterior wanders, and a nearest neighbour:

    >>> import numpy as np
    >>> import lstmgenre
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> calm, wild = np.full((4, 2), 0.5), np.array([[0.9, 0.1], [0.1, 0.9]] * 2)
    >>> train = {"a": calm, "b": wild}, {"a": "ambient", "b": "jazz"}
    >>> test = {"c": 0.9 * wild}, {"c": "jazz"}
    >>> score = lstmgenre.evaluate(train, test, lambda x: x.std(axis=0), KNeighborsClassifier(1))
    >>> score.predictions
    {'c': 'jazz'}
    >>> score.accuracy.rate
    1.0
    """
    learnt, heard = _vectors(train, statistic), _vectors(test, statistic)
    if both := learnt.keys() & heard.keys():
        raise DataError(f"{min(both)}: is to be learnt from and tested on: that is no test score; take it out of one")
    if len({vector.shape for vector in [*learnt.values(), *heard.values()]}) > 1:
        raise DataError("the statistic has more numbers for some tracks than for others: make them as many for all")
    genres = sorted({*train[1].values(), *test[1].values()})
    classifier.fit(np.stack([*learnt.values()]), np.array([train[1][utterance] for utterance in learnt]))
    decided = [str(genre) for genre in classifier.predict(np.stack([*heard.values()]))]
    if len(decided) != len(heard):
        raise DataError(f"the classifier gives {len(decided)} decisions for {len(heard)} tracks")
    report = Report(genres)
    report.add_tracks("the classifier", dict(zip(heard, decided, strict=True)), test[1])
    (score,) = report.tracks.values()
    if decisions is not None:
        write_map(decisions, score.predictions)
    return score


def _vectors(tracks: Tracks, statistic: Statistic) -> dict[str, np.ndarray]:
    matrices, utt2genre = tracks
    vectors: dict[str, np.ndarray] = {}
    for utterance, matrix in matrices.items() if isinstance(matrices, Mapping) else matrices:
        if utterance in utt2genre:
            vector = vectors[utterance] = as_array(statistic(matrix))
            if vector.ndim != 1 or vector.dtype.kind not in "fiub" or not np.isfinite(vector).all():
                raise DataError(f"{utterance}: the statistic is no vector of finite numbers: {vector!r:.100}")
    if not vectors:
        raise DataError("no track has posteriors and a genre: give those of the same tracks")
    if missing := sorted(utt2genre.keys() - vectors.keys()):
        logger.warning("%d of %d tracks have no posteriors, %s among them", len(missing), len(utt2genre), missing[0])
    return vectors
