"""One value -> Kaldi's bytes, binary or text.

kaldiio encodes uncompressed matrices, vectors and int-vectors. The rest is ours: its text is not Kaldi's, it gets four
of Kaldi's seven kinds of compression wrong, and it has no posteriors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lstmgenre.errors import DataError
from lstmgenre.tables import compression
from lstmgenre.tables.rules import INT32, Kind, as_float32, check_key, is_finite


def checked(value: Any, kind: Kind) -> Any:
    """`value` in the one type of its kind. Raises DataError where that would change it, or where it is not finite."""
    try:
        value = _CHECKS[kind](value)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{type(value).__name__} is no {kind}: {error}") from error
    if not is_finite(value, kind):
        raise DataError("holds a number that is not finite; find out which step made it")
    return value


def encode(value: Any, kind: Kind, text: bool, method: int = 0) -> list[Any]:
    """The bytes of a checked value, in buffers to write one after the other; the first is of bytes.

    `method` is Kaldi's compression method for a matrix, 0 for none. Raises DataError where it cannot be compressed.
    """
    if text or kind == "token":
        return [_TEXT[kind](value).encode()]
    if kind in _BINARY:
        return [b"\0B" + _BINARY[kind](value)]
    if method and value.size:
        return [b"\0B" + compression.compress(value, method)]
    if kind == "matrix" and not value.size:
        value = value.reshape(0, 0)  # Kaldi knows one empty matrix
    from kaldiio.matio import write_array  # brings in soundfile

    buffers = _Buffers()
    write_array(buffers, value.view(_Lent))
    return [b"".join(buffers[:-1]), buffers[-1]] if kind != "int-vector" else [b"".join(buffers)]


def matrix_header(rows: int, columns: int) -> bytes:
    """What stands before the numbers of a matrix that is not compressed, rows of little-endian float32: for one whose
    rows are still to come."""
    return b"\0BFM " + _sized(rows, columns)


class _Buffers(list[Any]):
    """Takes what is written to it as it is."""

    write = list.append


class _Lent(np.ndarray):
    """An array whose bytes are lent where kaldiio would have a copy: that costs a tenth of the speed of a table."""

    def tobytes(self, order: Any = "C") -> Any:
        return np.asarray(self)


def _float_array(value: Any, dimensions: int) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != dimensions or array.dtype.kind != "f":
        raise ValueError(f"it should be {dimensions}-dimensional and of floats, not {array.shape} of {array.dtype}")
    return np.ascontiguousarray(as_float32(array))


def _int32(value: Any) -> int:
    if isinstance(value, bool | np.bool_) or int(value) != value or not INT32.min <= value <= INT32.max:
        raise ValueError(f"{value!r} is no 32-bit integer")
    return int(value)


def _float32(value: Any) -> float:
    if abs(number := float(value)) > _LARGEST:
        raise ValueError(f"{value!r} is no finite 32-bit float")
    return number


_LARGEST = float(np.finfo(np.float32).max)
_CHECKS: dict[Kind, Callable[[Any], Any]] = {
    "matrix": lambda value: _float_array(value, 2),
    "vector": lambda value: _float_array(value, 1),
    "int-vector": lambda value: np.array([_int32(number) for number in value], np.int32),
    "posterior": lambda value: [[(_int32(label), _float32(weight)) for label, weight in frame] for frame in value],
    "int": _int32,
    "float": _float32,
    "token": check_key,
}


def _sized(*numbers: int) -> bytes:
    return b"".join(struct.pack("<Bi", 4, number) for number in numbers)


def _posterior_bytes(frames: list[list[tuple[int, float]]]) -> bytes:
    pairs = struct.Struct("<BiBf")
    return _sized(len(frames)) + b"".join(
        _sized(len(frame)) + b"".join(pairs.pack(4, label, 4, weight) for label, weight in frame) for frame in frames
    )


_BINARY: dict[Kind, Callable[[Any], bytes]] = {
    "posterior": _posterior_bytes,
    "int": _sized,
    "float": lambda number: struct.pack("<Bf", 4, number),
}


def _digits(numbers: Iterable[float]) -> str:
    return "".join(f"{number:.7g} " for number in numbers)  # 7 digits: Kaldi's stream precision


def _text_matrix(matrix: np.ndarray) -> str:
    return " [" + "".join("\n  " + _digits(row) for row in matrix.tolist()) + "]\n" if matrix.size else " [ ]\n"


def _text_posterior(frames: list[list[tuple[int, float]]]) -> str:
    return "".join("[ " + "".join(f"{label} {weight:.7g} " for label, weight in f) + "] " for f in frames) + "\n"


_TEXT: dict[Kind, Callable[[Any], str]] = {
    "matrix": _text_matrix,
    "vector": lambda vector: f" [ {_digits(vector.tolist())}]\n",
    "int-vector": lambda vector: "".join(f"{number} " for number in vector) + "\n",
    "posterior": _text_posterior,
    "int": lambda number: f"{number} \n",
    "float": lambda number: f"{number:.7g} \n",
    "token": lambda token: f"{token}\n",
}
