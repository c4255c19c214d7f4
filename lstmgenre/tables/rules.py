"""What a table may hold: the kinds of value, and the rules for keys and numbers."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, TypeVar

import numpy as np

from lstmgenre.errors import DataError

Number = TypeVar("Number", int, float)
Kind = Literal["matrix", "vector", "int-vector", "posterior", "int", "float", "token"]
"""What the values of a table are. Features and posteriors are matrices, segment vectors are vectors; the other kinds
are there for Kaldi's sake alone, whose tables they come from."""

INT32 = np.iinfo(np.int32)
_PLAIN = re.compile("[-+.0-9A-Za-z]+")

# In Kaldi's binary form each single number follows a byte with its size.
SIZED_INT = np.dtype([("size", "u1"), ("value", "<i4")])
SIZED_PAIR = np.dtype([("int_size", "u1"), ("class", "<i4"), ("float_size", "u1"), ("weight", "<f4")])


def check_key(key: str) -> str:
    """`key` itself; DataError where it is empty, holds white space or NUL, or cannot be written as UTF-8."""
    if key.split() != [key] or "\0" in key or not is_utf8(key):
        raise DataError(f"{key!r} is no key: it must be UTF-8 text, not empty, without spaces")
    return key


def parse_number(word: str | bytes, kind: type[Number]) -> Number:
    """A number of Kaldi's text form. Raises ValueError for what is none, or an integer that has no room in 32 bits."""
    # Python also takes 1_000, white space and the digits of other scripts, which no other reader does.
    text = word.decode("ascii", "replace") if isinstance(word, bytes) else word
    try:
        value = kind(text)
    except ValueError:
        text = ""
    if not _PLAIN.fullmatch(text) or (kind is int and not INT32.min <= value <= INT32.max):
        raise ValueError(f"{word[:40]!r} is no {'32-bit integer' if kind is int else 'number'}")
    return value


def is_utf8(text: str) -> bool:
    """Whether it can be written as UTF-8: a name of other bytes holds what Python keeps them as."""
    return text.isascii() or text.encode("utf-8", "ignore").decode() == text


def is_finite(value: Any, kind: Kind) -> bool:
    if kind in ("matrix", "vector"):
        return _all_finite(value)
    if kind == "posterior":
        return all(math.isfinite(weight) for frame in value for _, weight in frame)
    return kind != "float" or math.isfinite(value)


def _all_finite(array: np.ndarray) -> bool:
    # The product of the first half and the second (both have the middle of an odd number) is finite only if all are:
    # one pass and no copy, which np.isfinite is not. Where they are large it overflows; vdot does not warn of that.
    flat = array.reshape(-1)
    half = (flat.size + 1) // 2
    return math.isfinite(np.vdot(flat[:half], flat[-half:])) or bool(np.isfinite(flat).all())


def as_array(values: Any) -> np.ndarray:
    """Raises DataError for what makes no array, such as rows of several lengths."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"no array: {' '.join(str(error).split())}") from error


def as_float32(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):  # becomes infinite, which is refused with the name of the entry
        return array.astype(np.float32)
