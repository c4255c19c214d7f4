"""Figure 3 of the paper: the accuracy of the segment classifiers over the threshold k of equation 14."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lstmgenre import svm
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.report.experiments import FSEG, LSEG
from lstmgenre.report.results import Table
from lstmgenre.scoring import Accuracy, Report
from lstmgenre.segments import mean_vector, pool
from lstmgenre.tables import read_table

# The range of the paper's figure, in steps of ours: its text gives 0.9 and 0.95 as values, "k >= 0.8" as large ones.
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Tracks:
    """A data directory's genres and the mean scattering vector (D,) of each track: what all networks have in common."""

    data: DataDir
    means: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, data: DataDir) -> Tracks:
        """Reads all features, one track in memory at a time. Raises DataError where they cannot be read."""
        features = read_table(f"scp:{data.path / 'feats.scp'}")
        return cls(data, {utterance: mean_vector(matrix) for utterance, matrix in features})


class Point(NamedTuple):
    """Accuracy on tracks of the classifiers that were trained and tested on features pooled with this threshold."""

    threshold: float
    lseg: Accuracy
    fseg: Accuracy


def sweep(
    train: Tracks,
    train_posteriors: Mapping[str, np.ndarray],
    test: Tracks,
    test_posteriors: Mapping[str, np.ndarray],
    thresholds: Sequence[float] = THRESHOLDS,
) -> Iterator[Point]:
    """Pool, train the SVMs of the paper (C of svm.C) and score, for each threshold in turn.

    Posteriors are (frames, C) by utterance. Raises DataError for a track without features or genre.
    """
    for threshold in thresholds:
        trained, tested = _vectors(train, train_posteriors, threshold), _vectors(test, test_posteriors, threshold)
        score = Report(train.data.genres)
        for system in (LSEG, FSEG):
            classifier = svm.train(trained[system], train.data.utt2genre, train.data.genres)
            score.add_tracks(system, classifier.predict(tested[system]), test.data.utt2genre)
        yield Point(threshold, score.tracks[LSEG].accuracy, score.tracks[FSEG].accuracy)


def _vectors(
    tracks: Tracks, posteriors: Mapping[str, np.ndarray], threshold: float
) -> dict[str, dict[str, np.ndarray]]:
    if without := posteriors.keys() - tracks.means.keys():
        raise DataError(f"{tracks.data.path}/feats.scp: no features of {min(without)}, which has posteriors")
    pooled = {utterance: pool(frames, threshold) for utterance, frames in posteriors.items()}
    fused = {utterance: np.concatenate([tracks.means[utterance], vector]) for utterance, vector in pooled.items()}
    return {LSEG: pooled, FSEG: fused}


def thresholds_table(curves: Mapping[str, Sequence[Point]]) -> Table:
    """Figure 3 in numbers, by the label of the network."""
    lines = [(label, system) for label in curves for system in ("LSeg", "FSeg")]
    ks = [point.threshold for points in curves.values() for point in points]
    rows = [
        [f"{label} {system}", *(f"{getattr(point, system.lower()).rate:.2%}" for point in curves[label])]
        for label, system in lines
    ]
    records = [
        {"model": label, "system": system, "k": point.threshold, **getattr(point, system.lower()).as_dict()}
        for label, system in lines
        for point in curves[label]
    ]
    return Table("figure3", "Accuracy on tracks over k", ["k", *map(str, dict.fromkeys(ks))], rows, records)
