"""Kaldi's bytes -> one value, strictly.

A binary value starts with "\\0B", a text one does not. Nothing else is understood: in particular a payload that holds a
Python pickle (kaldiio's `PKL`) is refused unread.

kaldiio reads too, and is not what reads here: it takes the first line of a text matrix of whole numbers for integers,
decompresses four of the seven kinds wrongly, and opens pickles. What it writes is read the same.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from lstmgenre.errors import DataError
from lstmgenre.tables import compression
from lstmgenre.tables.cursor import Cursor, read_key
from lstmgenre.tables.rules import SIZED_INT, SIZED_PAIR, Kind, as_float32, check_key, is_finite, parse_number

_F4, _F8, _U2, _U1 = np.dtype("<f4"), np.dtype("<f8"), np.dtype("<u2"), np.dtype("u1")

# Nearly all that is ever read: the head of an uncompressed matrix, after a key of plain characters or alone.
_FLOAT_MATRIX = rb"\0BFM \x04(...[\x00-\x7f])\x04(...[\x00-\x7f])"
_MATRIX_ENTRY = re.compile(rb"([!-~]+) " + _FLOAT_MATRIX, re.DOTALL)
_MATRIX_VALUE = re.compile(rb"()" + _FLOAT_MATRIX, re.DOTALL)


def read_entry(cursor: Cursor, kind: Kind) -> tuple[str, Any]:
    """The key and the value that come next in an archive. Raises as `read_value`."""
    if kind == "matrix" and (head := cursor.match(_MATRIX_ENTRY)):
        cursor.entry = head[1].decode()
        return cursor.entry, _float_matrix(cursor, head)
    key, space = read_key(cursor)
    return key, read_value(cursor, kind, space)


def read_value(cursor: Cursor, kind: Kind, space: bytes = b" ") -> Any:
    """The value that starts at the cursor; `space` is the byte that ended the key.

    Raises FormatError for what is no such value, DataError for one that is whole but not finite.
    """
    if kind == "matrix" and space != b"\n" and (head := cursor.match(_MATRIX_VALUE)):
        return _float_matrix(cursor, head)
    if (first := space if space == b"\n" else cursor.byte()) == b"\0":
        if cursor.read(1) != b"B":
            raise cursor.error("neither binary (\\0B) nor text: not a Kaldi value")
        value = _READ_BINARY[kind](cursor)
    else:
        value = _READ_TEXT[kind](cursor, first)
    return _sound(cursor, value, kind)


def _float_matrix(cursor: Cursor, head: re.Match[bytes]) -> np.ndarray:
    shape = int.from_bytes(head[2], "little"), int.from_bytes(head[3], "little")
    return _sound(cursor, cursor.array(shape, _F4), "matrix")


def _sound(cursor: Cursor, value: Any, kind: Kind) -> Any:
    if kind == "matrix" and not value.shape[1] and len(value):  # two thousand million frames in 20 bytes
        raise cursor.error(f"a matrix of {len(value)} rows without columns")
    if not is_finite(value, kind):
        raise DataError(f"{cursor.where()}: holds a number that is not finite; find out which step made it")
    return value


# Binary ---------------------------------------------------------------------------------------------------------------


def _read_matrix(cursor: Cursor) -> np.ndarray:
    token = _type_token(cursor)
    if token in ("CM", "CM2", "CM3"):
        return _read_compressed(cursor, token)
    if token not in ("FM", "DM"):
        raise cursor.error(f"a value of type {token!r} where a matrix should be")
    rows, cols = _sizes(cursor, 2)
    return as_float32(cursor.array((rows, cols), _F4 if token == "FM" else _F8))


def _read_compressed(cursor: Cursor, token: str) -> np.ndarray:
    low, span, rows, cols = compression.HEADER.unpack(cursor.read(compression.HEADER.size))
    if min(rows, cols) < 0:
        raise cursor.error(f"a matrix of {rows} x {cols}")
    with np.errstate(all="ignore"):  # what is not finite then is refused with the name of the entry
        if token == "CM":
            percentiles = cursor.array((cols, 4), _U2)
            return compression.columns(percentiles, cursor.array((cols, rows), _U1), low, span)
        codes = cursor.array((rows, cols), _U2 if token == "CM2" else _U1)
        return compression.uniform(codes, low, span, token)


def _read_vector(cursor: Cursor) -> np.ndarray:
    token = _type_token(cursor)
    if token not in ("FV", "DV"):
        raise cursor.error(f"a value of type {token!r} where a vector should be")
    return as_float32(cursor.array((_size(cursor),), _F4 if token == "FV" else _F8))


def _type_token(cursor: Cursor) -> str:
    token, _ = cursor.word()
    return token[:40].decode("ascii", "backslashreplace")


def _sizes(cursor: Cursor, count: int) -> tuple[int, ...]:
    sizes = cursor.sized_ints(count)
    if min(sizes) < 0:
        raise cursor.error(f"a size of {min(sizes)}")
    return sizes


def _size(cursor: Cursor) -> int:
    return _sizes(cursor, 1)[0]


def _read_float(cursor: Cursor) -> float:
    size = cursor.read(1)[0]
    if size not in (4, 8):
        raise cursor.error(f"a number of {size} bytes where 4 or 8 should be")
    return struct.unpack("<f" if size == 4 else "<d", cursor.read(size))[0]


def _read_int_vector(cursor: Cursor) -> np.ndarray:
    items = cursor.array((_size(cursor),), SIZED_INT)
    if (items["size"] != 4).any():
        raise cursor.error("an integer that is not of 4 bytes")
    return items["value"].astype(np.int32)


def _read_posterior(cursor: Cursor) -> list[list[tuple[int, float]]]:
    frames = []
    for _ in range(_size(cursor)):
        pairs = cursor.array((_size(cursor),), SIZED_PAIR)
        if (pairs["int_size"] != 4).any() or (pairs["float_size"] != 4).any():
            raise cursor.error("a class or weight that is not of 4 bytes")
        frames.append(list(zip(pairs["class"].tolist(), pairs["weight"].tolist(), strict=True)))
    return frames


def _read_no_token(cursor: Cursor) -> str:
    raise cursor.error("a binary value where text should be")


# Text -----------------------------------------------------------------------------------------------------------------


def _read_text_matrix(cursor: Cursor, first: bytes) -> np.ndarray:
    rows = [_numbers(cursor, row.split()) for row in _bracketed(cursor, first) if row.strip()]
    if len({len(row) for row in rows}) > 1:
        raise cursor.error("rows of different lengths")
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def _read_text_vector(cursor: Cursor, first: bytes) -> np.ndarray:
    return _numbers(cursor, b" ".join(_bracketed(cursor, first)).split())


def _bracketed(cursor: Cursor, byte: bytes) -> list[bytes]:
    """The lines between `[` and `]`."""
    while byte.isspace():
        byte = cursor.byte()
    if byte != b"[":
        begin = byte + cursor.byte() + cursor.byte()
        hint = "a Python pickle, which is never opened" if begin == b"PKL" else f"{begin!r}"
        raise cursor.error(f"{hint} where '[' or a binary value should be")
    lines = []
    while b"]" not in (line := cursor.line()):
        lines.append(line)
    last, _, rest = line.partition(b"]")
    if rest.strip():
        raise cursor.error(f"{rest[:40]!r} after ']'")
    return [*lines, last]


def _numbers(cursor: Cursor, words: list[bytes]) -> np.ndarray:
    return as_float32(np.array([_number(cursor, float, word) for word in words], np.float64))


def _number(cursor: Cursor, kind: type, word: bytes) -> Any:
    try:
        return parse_number(word, kind)
    except ValueError:
        raise cursor.error(f"{word[:40]!r} is no {'32-bit integer' if kind is int else 'number'}") from None


def _words(cursor: Cursor, first: bytes) -> list[bytes]:
    return (first if first == b"\n" else first + cursor.line()).split()


def _one_word(cursor: Cursor, first: bytes) -> bytes:
    words = _words(cursor, first)
    if len(words) != 1:
        raise cursor.error(f"{len(words)} words where one should be")
    return words[0]


def _read_text_token(cursor: Cursor, first: bytes) -> str:
    word = _one_word(cursor, first)
    try:
        return check_key(word.decode("utf-8"))
    except (UnicodeDecodeError, DataError) as error:
        raise cursor.error(f"{word[:40]!r} is no token of UTF-8 text") from error


def _read_text_int_vector(cursor: Cursor, first: bytes) -> np.ndarray:
    return np.array([_number(cursor, int, word) for word in _words(cursor, first)], np.int32)


def _read_text_posterior(cursor: Cursor, first: bytes) -> list[list[tuple[int, float]]]:
    frames: list[list[tuple[int, float]]] = []
    words = iter(_words(cursor, first))
    for bracket in words:
        if bracket != b"[":
            raise cursor.error(f"{bracket[:40]!r} where '[' should be")
        frame = []
        while (word := next(words, b"")) != b"]":
            frame.append((_number(cursor, int, word), _number(cursor, float, next(words, b""))))
        frames.append(frame)
    return frames


_READ_BINARY: dict[Kind, Callable[[Cursor], Any]] = {
    "matrix": _read_matrix,
    "vector": _read_vector,
    "int-vector": _read_int_vector,
    "posterior": _read_posterior,
    "int": lambda cursor: cursor.sized_ints(1)[0],
    "float": _read_float,
    "token": _read_no_token,
}
_READ_TEXT: dict[Kind, Callable[[Cursor, bytes], Any]] = {
    "matrix": _read_text_matrix,
    "vector": _read_text_vector,
    "int-vector": _read_text_int_vector,
    "posterior": _read_text_posterior,
    "int": lambda cursor, first: _number(cursor, int, _one_word(cursor, first)),
    "float": lambda cursor, first: _number(cursor, float, _one_word(cursor, first)),
    "token": _read_text_token,
}
