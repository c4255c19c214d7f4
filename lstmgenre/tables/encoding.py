"""One value -> Kaldi's bytes, binary or text."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lstmgenre.errors import DataError
from lstmgenre.tables import compression
from lstmgenre.tables.rules import INT32, SIZED_INT, Kind, as_float32, check_key, is_finite


def encode(value: Any, kind: Kind, text: bool, method: int = 0) -> list[Any]:
    """The bytes of `value`, in buffers to write one after the other. Raises DataError for what is no finite `kind`.

    `method` is Kaldi's compression method for a matrix, 0 for none.
    """
    value = _checked(value, kind)
    if not is_finite(value, kind):
        raise DataError("holds a number that is not finite; find out which step made it")
    if text or kind == "token":
        return [_TO_TEXT[kind](value).encode()]
    if method and value.size:
        return [b"\0B", compression.compress(value, method)]
    return [b"\0B", *_BINARY[kind](value)]


def _checked(value: Any, kind: Kind) -> Any:
    """`value` in the one type of its kind; DataError where that would change it."""
    try:
        if kind in ("matrix", "vector"):
            return _float_array(value, 2 if kind == "matrix" else 1)
        if kind == "int-vector":
            return np.array([_int32(item) for item in value], np.int32)
        if kind == "posterior":
            return [[(_int32(label), float(np.float32(weight))) for label, weight in frame] for frame in value]
        if kind == "int":
            return _int32(value)
        if kind == "float":
            return float(np.float32(value))
        return check_key(value)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{type(value).__name__} is no {kind}: {error}") from error


def _float_array(value: Any, dimensions: int) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim != dimensions or array.dtype.kind != "f":
        raise ValueError(f"it should be {dimensions}-dimensional and of floats, not {array.shape} of {array.dtype}")
    return np.ascontiguousarray(as_float32(array))


def _int32(value: Any) -> int:
    if isinstance(value, bool | np.bool_) or int(value) != value or not INT32.min <= value <= INT32.max:
        raise ValueError(f"{value!r} is no 32-bit integer")
    return int(value)


def _sized(*numbers: int) -> bytes:
    return b"".join(struct.pack("<Bi", 4, number) for number in numbers)


def _matrix_bytes(matrix: np.ndarray) -> Iterable[Any]:
    # Kaldi knows one empty matrix, of 0 x 0.
    return (
        (b"FM " + _sized(*matrix.shape), matrix.astype("<f4", copy=False)) if matrix.size else (b"FM " + _sized(0, 0),)
    )


def _int_vector_bytes(vector: np.ndarray) -> bytes:
    items = np.empty(len(vector), SIZED_INT)
    items["size"], items["value"] = 4, vector
    return _sized(len(vector)) + items.tobytes()


def _posterior_bytes(frames: list[list[tuple[int, float]]]) -> bytes:
    pairs = struct.Struct("<BiBf")
    return _sized(len(frames)) + b"".join(
        _sized(len(frame)) + b"".join(pairs.pack(4, label, 4, weight) for label, weight in frame) for frame in frames
    )


_BINARY: dict[Kind, Callable[[Any], Iterable[Any]]] = {
    "matrix": _matrix_bytes,
    "vector": lambda vector: (b"FV " + _sized(len(vector)), vector.astype("<f4").tobytes()),
    "int-vector": lambda vector: (_int_vector_bytes(vector),),
    "posterior": lambda frames: (_posterior_bytes(frames),),
    "int": lambda number: (_sized(number),),
    "float": lambda number: (struct.pack("<Bf", 4, number),),
}


def _text(numbers: Iterable[float]) -> str:
    return "".join(f"{number:.7g} " for number in numbers)  # 7 digits: Kaldi's stream precision


def _text_matrix(matrix: np.ndarray) -> str:
    return " [" + "".join("\n  " + _text(row) for row in matrix.tolist()) + "]\n" if matrix.size else " [ ]\n"


def _text_posterior(frames: list[list[tuple[int, float]]]) -> str:
    return "".join("[ " + "".join(f"{label} {weight:.7g} " for label, weight in f) + "] " for f in frames) + "\n"


_TO_TEXT: dict[Kind, Callable[[Any], str]] = {
    "matrix": _text_matrix,
    "vector": lambda vector: f" [ {_text(vector.tolist())}]\n",
    "int-vector": lambda vector: "".join(f"{number} " for number in vector) + "\n",
    "posterior": _text_posterior,
    "int": lambda number: f"{number} \n",
    "float": lambda number: f"{number:.7g} \n",
    "token": lambda token: f"{token}\n",
}
