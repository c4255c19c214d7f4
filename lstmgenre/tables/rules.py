"""What a table may hold: the kinds of value, and the rules for keys and numbers."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from lstmgenre.errors import DataError

Kind = Literal["matrix", "vector", "int-vector", "posterior", "int", "float", "token"]

INT32 = np.iinfo(np.int32)

# In Kaldi's binary form each single number follows a byte with its size.
SIZED_INT = np.dtype([("size", "u1"), ("value", "<i4")])
SIZED_PAIR = np.dtype([("int_size", "u1"), ("class", "<i4"), ("float_size", "u1"), ("weight", "<f4")])


def check_key(key: str) -> str:
    """`key` itself; DataError where it is empty, holds white space or NUL, or cannot be written as UTF-8."""
    if key.split() != [key] or "\0" in key or (not key.isascii() and key.encode("utf-8", "ignore").decode() != key):
        raise DataError(f"{key!r} is no key: it must be UTF-8 text, not empty, without spaces")
    return key


def is_finite(value: Any, kind: Kind) -> bool:
    if kind in ("matrix", "vector"):
        return _all_finite(value)
    if kind == "posterior":
        return all(math.isfinite(weight) for frame in value for _, weight in frame)
    return kind != "float" or math.isfinite(value)


def _all_finite(array: np.ndarray) -> bool:
    # Read as integers, what is infinite or no number is above all finite numbers of its sign: of the positive ones as
    # signed integers, of the negative ones as unsigned. This makes no copy and takes half of what np.isfinite does.
    signed = np.maximum.reduce(array.view(np.int32), axis=None, initial=0)
    unsigned = np.maximum.reduce(array.view(np.uint32), axis=None, initial=0)
    return bool(signed < 0x7F800000 and unsigned < 0xFF800000)


def as_float32(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):  # becomes infinite, which is refused with the name of the entry
        return array.astype(np.float32)
