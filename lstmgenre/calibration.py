"""Scores to probabilities: a softmax of the scores times a slope, as temperature scaling has it (Guo et al. 2017).

The slope is the likeliest on tracks that a system has not learnt from. As in Platt's method the truth is smoothed, so
that a few tracks that are all right make nobody certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from lstmgenre.documents import Share

_BINS = 10  # of the calibration error
_LOG_SLOPES = (-5.0, 8.0)  # scores of systems differ by about one


class HeldOut(NamedTuple):
    """Scores (tracks, genres) of tracks that a system has not learnt from, and the column of each one's genre."""

    scores: np.ndarray
    truth: np.ndarray


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`slope` of the softmax; `error` is the expected calibration error on `tracks` that had no part in a slope."""

    slope: Annotated[float, Meta(gt=0, le=1e4)]
    error: Share
    tracks: Annotated[int, Meta(ge=1)]

    def probabilities(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Probability of every genre; the largest is that of the largest score."""
        return dict(zip(scores, _softmax(self.slope * np.array([[*scores.values()]]))[0].tolist(), strict=True))


def calibrate(folds: Sequence[HeldOut]) -> Calibration | None:
    """The slope for all folds, and the error that those of the other folds make on each; None for less than two."""
    if len(folds) < 2:
        return None
    certain, right = [], []
    for k, fold in enumerate(folds):
        slope = fit_slope([*folds[:k], *folds[k + 1 :]])
        certain.append(_softmax(slope * fold.scores).max(axis=1))
        right.append(fold.scores.argmax(axis=1) == fold.truth)
    error = expected_error(np.concatenate(certain), np.concatenate(right))
    return Calibration(fit_slope(folds), error, sum(len(fold.truth) for fold in folds))


def fit_slope(folds: Sequence[HeldOut]) -> float:
    """The likeliest slope for these tracks."""
    from scipy.optimize import minimize_scalar

    scores, truth = (np.concatenate(parts) for parts in zip(*folds, strict=True))
    tracks, genres = scores.shape
    target = np.full(scores.shape, 1 / (tracks + genres))
    target[np.arange(tracks), truth] = (tracks + 1) / (tracks + genres)

    def loss(log_slope: float) -> float:
        return float(-(target * np.log(_softmax(np.exp(log_slope) * scores) + 1e-300)).sum())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_SLOPES, method="bounded").x))


def expected_error(certain: np.ndarray, right: np.ndarray) -> float:
    """By how much the share of right decisions differs from the mean probability, over ten bins of equal width."""
    bins = np.minimum((certain * _BINS).astype(int), _BINS - 1)
    gaps = (abs((right[bins == k] - certain[bins == k]).sum()) for k in range(_BINS))
    return float(sum(gaps) / len(certain))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
