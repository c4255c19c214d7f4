"""Labelled utterances: what an epoch reads, in memory or streamed from an archive.

Our own commands label a track with one class. Soft targets, several classes a frame with weights, and weights of frames
are there for Kaldi's sake alone: its trainers take them, and the golden runs have them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from lstmgenre.errors import DataError
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables import read_table

logger = logging.getLogger(__name__)

LENGTH_TOLERANCE = 5
"""Targets (and weights) may be this many frames longer or shorter than the features, less one: nnet-train-frmshuff's
default.
"""

Posterior = Sequence[Sequence[tuple[int, float]]]
"""Kaldi's: (class, weight) pairs of every frame."""

T = TypeVar("T")


class Example(NamedTuple):
    """One utterance, all float32: features (frames, dim), targets (frames, classes), weights (frames,)."""

    utterance: str
    features: Tensor
    targets: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        utterance: str,
        features: np.ndarray,
        target: int | np.ndarray | Posterior,
        num_classes: int,
        weights: np.ndarray | None = None,
    ) -> Example:
        """Check and convert plain arrays; target: the class of all frames, a (frames, classes) array or a Posterior.

        What is at most LENGTH_TOLERANCE - 1 frames too long is cut, as in Kaldi. Raises DataError naming the
        utterance where there are no frames, values that are not finite, classes outside [0, num_classes), negative
        weights, or lengths too far apart.
        """
        features = np.asarray(features, dtype=np.float32)
        if features.ndim != 2 or not features.size:
            raise DataError(f"{utterance}: features of shape {features.shape}: an utterance needs at least one frame")
        if not np.isfinite(features).all():
            raise DataError(f"{utterance}: the features have values that are not finite; extract them again")
        targets = _dense(utterance, target, len(features), num_classes)
        weights = np.ones(len(features), np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise DataError(f"{utterance}: frame weights must be finite and not negative")
        lengths = (len(features), len(targets), len(weights))
        if max(lengths) - min(lengths) >= LENGTH_TOLERANCE:
            raise DataError(
                f"{utterance}: {lengths[0]} frames of features, {lengths[1]} of targets, {lengths[2]} of weights"
            )
        frames = min(lengths)
        return cls(utterance, *(torch.tensor(a[:frames]) for a in (features, targets, weights)))


def _dense(utterance: str, target: int | np.ndarray | Posterior, frames: int, num_classes: int) -> np.ndarray:
    if isinstance(target, np.ndarray):
        if target.ndim != 2 or target.shape[1] != num_classes or not np.isfinite(target).all():
            raise DataError(
                f"{utterance}: targets of shape {target.shape} are not finite rows of {num_classes} classes"
            )
        return target.astype(np.float32)
    if isinstance(target, int | np.integer):
        if not 0 <= target < num_classes:
            raise DataError(f"{utterance}: class {target} of {num_classes} classes")
        return np.eye(num_classes, dtype=np.float32)[[target] * frames]
    targets = np.zeros((len(target), num_classes), np.float32)
    for frame, entries in enumerate(target):
        for number, weight in entries:
            if not 0 <= number < num_classes or not np.isfinite(weight):
                raise DataError(
                    f"{utterance}: frame {frame}: class {number} with weight {weight}, of {num_classes} classes"
                )
            targets[frame, number] += weight
    return targets


class Examples:
    """A set of labelled utterances, read anew from `rspecifier` at each iteration, one in memory at a time.

    targets: utterance -> its class or posteriors, as Example.of takes them. Raises DataError at an utterance that has
    no target or another feature dimension than `input_dim`, and for an empty set; utterances that have a target and
    no features are logged.
    """

    def __init__(
        self,
        rspecifier: str,
        targets: Mapping[str, int | np.ndarray | Posterior],
        num_classes: int,
        input_dim: int | None = None,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.rspecifier = rspecifier
        self.targets = targets
        self.num_classes = num_classes
        self.input_dim = input_dim
        self.weights = weights

    def __iter__(self) -> Iterator[Example]:
        seen = 0
        for utterance, features in read_table(self.rspecifier):
            if utterance not in self.targets:
                raise DataError(
                    f"{self.rspecifier}: {utterance} has features and no label; add the label or drop the utterance"
                )
            if self.weights is not None and utterance not in self.weights:
                raise DataError(f"{self.rspecifier}: {utterance} has features and no frame weights")
            if self.input_dim and features.shape[1] != self.input_dim:
                raise DataError(
                    f"{self.rspecifier}: {utterance} has {features.shape[1]} columns, expected {self.input_dim}"
                )
            weights = None if self.weights is None else self.weights[utterance]
            yield Example.of(utterance, features, self.targets[utterance], self.num_classes, weights)
            seen += 1
        if not seen:
            raise DataError(f"{self.rspecifier}: no utterances")
        if seen < len(self.targets):
            logger.warning(
                "%s: %d of %d labelled utterances have no features",
                self.rspecifier,
                len(self.targets) - seen,
                len(self.targets),
            )


@torch.no_grad()
def transformed(example: Example, feature_transform: Nnet | None) -> Example:
    """The example with its features as the networks see them."""
    if feature_transform is None:
        return example
    return example._replace(features=feature_transform(example.features)[0])


def read_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """The items, up to `depth` of them made by another thread while the one before is in use."""
    # Each thread that computes has a team of OpenMP threads: that of the reader would fight with ours for the cores.
    torch.get_num_threads()  # settles the size of ours, which torch does late, before the reader sets that of its own
    reader = ThreadPoolExecutor(max_workers=1, initializer=torch.set_num_threads, initargs=(1,))
    try:
        upcoming = deque(reader.submit(next, items, None) for _ in range(depth))
        while (item := upcoming.popleft().result()) is not None:
            upcoming.append(reader.submit(next, items, None))
            yield item
    finally:
        reader.shutdown(cancel_futures=True)
