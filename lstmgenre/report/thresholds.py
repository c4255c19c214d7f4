"""Figure 3 of the paper: the accuracy of the segment classifiers over the threshold k of equation 14."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lstmgenre import svm
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.report.experiments import Experiment
from lstmgenre.report.results import ReportTable, column
from lstmgenre.scoring import Accuracy, Report
from lstmgenre.segments import blocks_of, mean_vector, pool
from lstmgenre.tables import read_table

# The range of the paper's figure, in steps of ours: its text gives 0.9 and 0.95 as values, "k >= 0.8" as large ones.
FIGURE_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)


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


Curve = dict[float, Accuracy]
"""Accuracy on tracks of a classifier that was trained and tested on features pooled with each threshold."""


def sweep(
    network: Experiment, train: Tracks, test: Tracks, split: str, thresholds: Sequence[float] = FIGURE_THRESHOLDS
) -> Iterator[tuple[str, Curve]]:
    """(system, curve) of each segment classifier: pool, train and score it anew for every threshold.

    C, fusion and the posteriors to learn from are those of the SVM in EXP/SYSTEM. Raises DataError for that or
    posteriors that are not there, and for a track without features or genre.
    """
    tested = network.posteriors(split)
    for system in network.segment_systems:
        model = svm.SegmentSvm.load(network.directory / system)
        fuse = bool(model.pooling and model.pooling.fuse)
        learnt = network.posteriors("train", network.learnt_from(system))
        curve = {}
        for threshold in thresholds:
            vectors = _vectors(train, learnt, threshold, fuse)
            blocks = blocks_of(vectors, len(train.data.genres))
            classifier = svm.train(vectors, train.data.utt2genre, train.data.genres, model.c, blocks)
            score = Report(train.data.genres)
            score.add_tracks(system, classifier.predict(_vectors(test, tested, threshold, fuse)), test.data.utt2genre)
            curve[threshold] = score.tracks[system].accuracy
        yield system, curve


def _vectors(
    tracks: Tracks, posteriors: Mapping[str, np.ndarray], threshold: float, fuse: bool
) -> dict[str, np.ndarray]:
    pooled = {utterance: pool(frames, threshold) for utterance, frames in posteriors.items()}
    if not fuse:
        return pooled
    if without := pooled.keys() - tracks.means.keys():
        raise DataError(f"{tracks.data.path}/feats.scp: no features of {min(without)}, which has posteriors")
    return {utterance: np.concatenate([tracks.means[utterance], vector]) for utterance, vector in pooled.items()}


def thresholds_table(networks: Mapping[str, Mapping[str, Curve]]) -> ReportTable:
    """Figure 3 in numbers, by the label of the network and the name of the system."""
    lines = [(label, column(system), curve) for label, curves in networks.items() for system, curve in curves.items()]
    ks = dict.fromkeys(k for _, _, curve in lines for k in curve)
    rows = [[f"{label} {system}", *(f"{curve[k].rate:.2%}" for k in ks)] for label, system, curve in lines]
    records = [
        {"model": label, "system": system, "k": k, **accuracy.as_dict()}
        for label, system, curve in lines
        for k, accuracy in curve.items()
    ]
    return ReportTable("figure3", "Accuracy on tracks over k", ["k", *map(str, ks)], rows, records)
