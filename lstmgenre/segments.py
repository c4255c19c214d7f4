"""Segment features: what a track's frames look like as one vector (equations 10-14 of the paper).

A segment is a whole track. From its posteriors, frames x C, come four statistics of C numbers each, laid out
max | min | mean | share above the threshold, each in the order of the model's `genres` file: 24 numbers for 6 genres.
The fused vector puts the mean scattering vector first: 525 + 24 = 549 numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from lstmgenre.documents import Share, decode_json
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.files import read_file
from lstmgenre.tables import file_of, open_table, read_map
from lstmgenre.tables.records import LARGEST, Record, read_record
from lstmgenre.tables.specifiers import parse_rspecifier

THRESHOLD = 0.9  # k of equation 14, section 4.2 of the paper

# How far rounding may take a softmax outside [0, 1] before we say that it is none.
_ROUNDING = 1e-4


class Pooling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How segment vectors were made: k of equation 14, and whether the mean features come first.

    Without a threshold they are the mean features (equation 10) and nothing else.

    Kept in the record of an archive of vectors (tables/records.py) and in the file of an SVM that learnt on them.
    """

    threshold: Share | None
    fuse: bool

    def __post_init__(self) -> None:
        if self.threshold is None and not self.fuse:
            raise ValueError("neither a threshold nor mean features: nothing was pooled")

    @classmethod
    def of_vectors(cls, rspecifier: str) -> Pooling | None:
        """What is recorded of the archive of the first vector; None where nothing is. Raises FormatError."""
        source = parse_rspecifier(rspecifier)
        archive = source.rxfilename
        if source.script and Path(archive).is_file():
            archive = next(iter(read_map(archive).values()), "")
        file = file_of(archive)
        if not Path(file).is_file():
            return None
        record = read_record(file, _Pooled, "pool again")
        return record.pooling if record else _earlier_record(file)


class _Pooled(Record):
    pooling: Pooling | None = None


def _earlier_record(archive: str) -> Pooling | None:
    """What versions before this one wrote beside lseg.ark: lseg.json, and nothing else of that name."""
    try:
        return decode_json(read_file(Path(archive).resolve().with_suffix(".json"), LARGEST), Pooling)
    except LstmGenreError:
        return None


def pool(posteriors: npt.ArrayLike, threshold: float = THRESHOLD) -> npt.NDArray[np.float32]:
    """LSTM segment feature of one track, equations 11-14.

    Shape: posteriors (frames, C), probabilities -> (4 C,) float32. The share counts frames strictly above `threshold`.
    Raises DataError for another shape, where there is no frame, and where a value is no probability (activations or
    logs given by mistake).

    Examples
    --------
    Two frames of two genres: largest, smallest, mean, and the share above 0.9, of each genre.

    >>> import numpy as np
    >>> import lstmgenre
    >>> print(lstmgenre.pool(np.array([[0.9375, 0.0625], [0.75, 0.25]])).reshape(4, 2))
    [[0.9375  0.25   ]
     [0.75    0.0625 ]
     [0.84375 0.15625]
     [0.5     0.     ]]

    References
    ----------
    .. [#dai2016] J. Dai, S. Liang, W. Xue, C. Ni and W. Liu, "Long short-term memory recurrent neural network based
       segment features for music genre classification", ISCSLP, 2016.
    """
    posteriors = np.asarray(posteriors)
    if posteriors.ndim != 2:
        raise DataError(f"has the shape {posteriors.shape}: pool posteriors (frames, genres)")
    if not posteriors.size:
        raise DataError("has no frames to pool")
    if not (posteriors.min() >= -_ROUNDING and posteriors.max() <= 1 + _ROUNDING):
        raise DataError(
            "holds values outside [0, 1]: pool posteriors, not activations or logs (forward without --apply-log)"
        )
    return np.concatenate(
        [
            posteriors.max(axis=0),
            posteriors.min(axis=0),
            posteriors.mean(axis=0, dtype=np.float64),
            (posteriors > threshold).mean(axis=0, dtype=np.float64),
        ]
    ).astype(np.float32)


def blocks_of(vectors: Mapping[str, np.ndarray], classes: int) -> tuple[int, ...]:
    """How many numbers of segment vectors are of a kind: of mean features, where they are fused, then LSTM statistics.

    `classes` is the number of columns of the posteriors.
    """
    dim, statistics = max((vector.size for vector in vectors.values()), default=0), 4 * classes
    return (dim - statistics, statistics) if dim > statistics else (dim,)


def mean_vector(features: np.ndarray) -> np.ndarray:
    """Initial segment feature, equation 10: (frames, D) -> (D,) float32."""
    return features.mean(axis=0, dtype=np.float64).astype(np.float32)


def add_up(total: np.ndarray | None, features: np.ndarray) -> np.ndarray:
    """The sum (D,), float64, of frames that come in blocks (frames, D), row after row as that of `mean_vector`."""
    rows = features.astype(np.float64)
    return np.add.reduce(rows if total is None else np.concatenate([total[np.newaxis], rows]), axis=0)


def pool_all(
    posteriors: Iterable[tuple[str, np.ndarray]],
    threshold: float = THRESHOLD,
    features: Mapping[str, np.ndarray] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Segment vector of every track, one in memory at a time; fused with the mean of `features` where those are given.

    Yields (utterance, (4 C,)) or (utterance, (D + 4 C,)). Raises DataError, naming the utterance, where features
    are missing or have another number of frames than the posteriors.
    """
    for utterance, frames in posteriors:
        try:
            vector = pool(frames, threshold)
        except DataError as error:
            raise DataError(f"{utterance}: {error}") from error
        if features is not None:
            if utterance not in features:
                raise DataError(f"{utterance}: has posteriors but no features to fuse with: check --fuse")
            scattering = features[utterance]
            if len(scattering) != len(frames):
                raise DataError(
                    f"{utterance}: {len(frames)} frames of posteriors but {len(scattering)} of features: "
                    "the posteriors were made from other features"
                )
            vector = np.concatenate([mean_vector(scattering), vector])
        yield utterance, vector


def pool_table(
    posteriors: Iterable[tuple[str, np.ndarray]], threshold: float, fuse: str | None
) -> Iterator[tuple[str, np.ndarray]]:
    """:func:`pool_all` with the table of features that the rspecifier `fuse` names: what a worker can be sent."""
    return pool_all(posteriors, threshold, open_table(fuse) if fuse else None)
