"""The segment classifier: standardised inputs, then a linear SVM (section 4.2 of the paper).

The paper names neither the toolkit nor C; ours is scikit-learn's SVC (libsvm, one against one) with C = 1. What it
learns is a plane between every two genres: those are stored, as JSON, and are all that a decision needs.

The columns of a block (mean scattering, LSTM statistics) share a total variance of 1. With each column at 1, the 525 of
the one would drown the 24 of the other, and the C that suits would change with their number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from lstmgenre import datadir
from lstmgenre.datadir import DataDir
from lstmgenre.documents import Word, read_json, write_json
from lstmgenre.errors import DataError, ModelError
from lstmgenre.segments import THRESHOLD, Pooling, blocks_of, pool_all

logger = logging.getLogger(__name__)

NAME = "svm.json"
C = 1.0
MAX_UNLABELLED = 0.05

# What `select` chooses from, in the order of preference among equals: the paper's k and our C come first.
CANDIDATE_THRESHOLDS = (THRESHOLD, 0.8, 0.7, 0.6, 0.5, 0.95, 0.99)  # the range of the paper's figure 3
PENALTIES = (C, 10.0, 0.1, 100.0, 0.01)


class SegmentSvm(msgspec.Struct, forbid_unknown_fields=True):
    """A trained classifier of segment vectors, (dim,) -> genre.

    `planes` (pairs, dim) and `offsets` (pairs,) part every two of the `genres`, in the order of combinations(), with
    the first on the positive side. They are for vectors less `mean` (dim,), over `scale` (dim,). `c` is the penalty of
    training, `pooling` how the vectors were made, where it is known.
    """

    genres: Annotated[list[Word], Meta(min_length=2)]
    mean: np.ndarray
    scale: np.ndarray
    planes: np.ndarray
    offsets: np.ndarray
    c: Annotated[float, Meta(gt=0)]
    pooling: Pooling | None

    def __post_init__(self) -> None:
        if len(set(self.genres)) < len(self.genres):
            raise ValueError("genres: one of them comes twice")
        pairs = len(self.genres) * (len(self.genres) - 1) // 2
        shapes = {"mean": (self.dim,), "scale": (self.dim,), "planes": (pairs, self.dim), "offsets": (pairs,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: should be {' x '.join(map(str, shape))} numbers")
        if not (self.scale > 0).all():
            raise ValueError("scale: should be above 0")

    @property
    def dim(self) -> int:
        return len(self.mean)

    def predict(self, vectors: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Genre of every segment vector (dim,), the one of the largest score. Raises ModelError as `scores` does."""
        return {utterance: max(scores, key=scores.__getitem__) for utterance, scores in self.scores(vectors).items()}

    def scores(self, vectors: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Score of every genre for every segment vector (dim,), by scikit-learn's rule.

        It is how many of the others a genre wins against, and a third at most, more or less, by how clearly, which
        settles ties. Raises ModelError on another dimension than it was trained on, and where numbers are too large.
        """
        for utterance, vector in vectors.items():
            if vector.shape != (self.dim,):
                raise ModelError(
                    f"{utterance}: segment vector of {vector.size} numbers, but the SVM was trained on {self.dim}: "
                    "pool with the options (--fuse) that it was trained with"
                )
        if not vectors:
            return {}
        with np.errstate(all="ignore"):  # what is not finite then is refused
            x = (np.stack(list(vectors.values())) - self.mean) / self.scale
            distances = x @ self.planes.T + self.offsets
            wins, clarity = np.zeros((2, len(x), len(self.genres)))
            for (a, b), distance in zip(combinations(range(len(self.genres)), 2), distances.T, strict=True):
                wins[:, a] += distance >= 0
                wins[:, b] += distance < 0
                clarity[:, a] += distance
                clarity[:, b] -= distance
            scores = wins + clarity / (3 * (np.abs(clarity) + 1))
        if not (finite := np.isfinite(scores).all(axis=1)).all():
            raise ModelError(
                f"{list(vectors)[int(finite.argmin())]}: the SVM's numbers give no finite scores: train it again"
            )
        return {
            utterance: dict(zip(self.genres, row.tolist(), strict=True))
            for utterance, row in zip(vectors, scores, strict=True)
        }

    def save(self, directory: Path) -> None:
        """Write svm.json into `directory`, whole or not at all."""
        write_json(directory / NAME, self, indent=None)

    @classmethod
    def load(cls, directory: Path) -> SegmentSvm:
        """Read what `save` wrote. Raises DataError if it is not there, FormatError if it is damaged."""
        return read_json(directory / NAME, cls, "train it with lstmgenre train-svm")


def labelled(vectors: Mapping[str, np.ndarray], utt2genre: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The segment vectors of tracks that have a genre; how many have none is a warning.

    Raises DataError where it is more than 5 %: a step of a Kaldi recipe fails under 95 %.
    """
    without = sorted(vectors.keys() - utt2genre.keys())
    if not without:
        return dict(vectors)
    count = (
        f"{len(without)} of {len(vectors)} tracks have a segment vector but no line in utt2genre ({without[0]} is one)"
    )
    if len(without) > MAX_UNLABELLED * len(vectors):
        raise DataError(f"{count}: add their genres, or leave them out")
    logger.warning("%s: left out", count)
    return {utterance: vector for utterance, vector in vectors.items() if utterance in utt2genre}


def train(
    vectors: Mapping[str, np.ndarray],
    utt2genre: Mapping[str, str],
    genres: list[str],
    c: float = C,
    blocks: Sequence[int] = (),
) -> SegmentSvm:
    """Fit scaler and SVM on segment vectors (dim,), one per track; `blocks` are the numbers of columns of each block,
    () where all are of one.

    The SVM knows those of `genres` that have a track, in that order. Raises DataError on a track with no or an unknown
    genre, on unequal dimensions, or with fewer than two genres.
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
    from sklearn.svm import SVC  # takes a second to import

    x = np.stack(list(vectors.values())).astype(np.float64)
    mean, scale = _scaling(x, blocks)
    # probability=False and a linear kernel: training is deterministic.
    svc = SVC(kernel="linear", C=c).fit((x - mean) / scale, labels)
    known = [genres[k] for k in svc.classes_]
    side = 1 if len(known) > 2 else -1  # of two genres scikit-learn has the second on the positive side
    return SegmentSvm(known, mean, scale, side * svc.coef_, side * svc.intercept_, c, None)


def _scaling(x: np.ndarray, blocks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale (dim,) that make the columns of x (tracks, dim) alike within a block of unit total variance."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)  # which leaves constant columns alone
    scale = scaler.scale_.copy()
    shares = scaler.var_ / scale**2
    for block in np.split(np.arange(x.shape[1]), np.cumsum(blocks)[:-1].astype(int)):
        scale[block] *= np.sqrt(shares[block].sum()) or 1
    return scaler.mean_, scale


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
    """Cross-validate every k and C to choose from on the training tracks, an artist's in one fold.

    `posteriors` (frames, classes) and, for fused vectors, `features` (frames, dim) of each track of `data`. The paper's
    values come first, so that max() keeps them among equals. Raises DataError where folds or pooling do.
    """
    divisions = datadir.folds(data.subset(posteriors), folds, seed)
    classes = max((frames.shape[1] for frames in posteriors.values()), default=0)
    for threshold in CANDIDATE_THRESHOLDS:
        vectors = dict(pool_all(posteriors.items(), threshold, features))
        blocks = blocks_of(vectors, classes)
        for c in PENALTIES:
            decisions = cross_validate(vectors, divisions, c, blocks)
            yield Choice(threshold, c, _count_right(decisions, data.utt2genre), len(vectors))


def select_penalty(data: DataDir, vectors: Mapping[str, np.ndarray], folds: int = 5, seed: int = 777) -> float:
    """The C of PENALTIES that gets most tracks of `data` right in cross-validation on vectors (dim,) of one block; the
    first among equals. Where so many folds cannot be made there are fewer, and C stays ours where there is none.
    """
    for n in range(folds, 1, -1):
        with suppress(DataError):
            divisions = datadir.folds(data, n, seed)
            return max(PENALTIES, key=lambda c: _count_right(cross_validate(vectors, divisions, c), data.utt2genre))
    return C


def cross_validate(
    vectors: Mapping[str, np.ndarray],
    divisions: Iterable[tuple[DataDir, DataDir]],
    c: float,
    blocks: Sequence[int] = (),
) -> dict[str, str]:
    """The genre of each held-out track by an SVM that has learnt from the others. Raises as `train` does."""
    decisions: dict[str, str] = {}
    for training, held_out in divisions:
        model = train({u: vectors[u] for u in training.utterances}, training.utt2genre, training.genres, c, blocks)
        decisions |= model.predict({u: vectors[u] for u in held_out.utterances})
    return decisions


def _count_right(decisions: Mapping[str, str], utt2genre: Mapping[str, str]) -> int:
    return sum(utt2genre[utterance] == genre for utterance, genre in decisions.items())
