"""A byte stream that knows where it is, so that an error can say so."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, Concatenate, ParamSpec, TypeVar

import numpy as np

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables.rules import check_key

_LONGEST_WORD = 4096  # of a key or type token: beyond, this is no archive
_CUT_OFF = "the file is cut off; make it again"

P = ParamSpec("P")
T = TypeVar("T")


def _readable(method: Callable[Concatenate[Cursor, P], T]) -> Callable[Concatenate[Cursor, P], T]:
    """Turn what the system has to say (a disk error, a directory) into a DataError."""

    @functools.wraps(method)
    def guarded(self: Cursor, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except OSError as error:
            raise DataError(f"{self.where()}: cannot be read: {error.strerror or error}") from error

    return guarded


class Cursor:
    """Reads forward only, as from a pipe, and counts. `name` and `entry` are for the messages.

    All methods raise FormatError, with the position, where the stream ends too early.
    """

    def __init__(self, stream: BinaryIO, name: str, position: int = 0, entry: str = "") -> None:
        self.stream, self.name, self.position, self.entry = stream, name, position, entry
        self._next = b""

    def where(self) -> str:
        return f"{self.name}: {self.entry}" if self.entry else self.name

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.where()}, byte {self.position}: {message}")

    @_readable
    def byte(self) -> bytes:
        """The next byte, or b"" at the end."""
        byte, self._next = self._next or self.stream.read(1), b""
        self.position += len(byte)
        return byte

    def at_end(self) -> bool:
        """Whether nothing but white space, which is skipped, is left."""
        while (byte := self.byte()).isspace():
            pass
        self._next = byte
        self.position -= len(byte)
        return not byte

    @_readable
    def word(self) -> tuple[bytes, bytes]:
        """The bytes up to the next white space, and that white space."""
        word: list[bytes] = []
        read, byte, self._next = self.stream.read, self._next or self.stream.read(1), b""
        while byte and not byte.isspace() and len(word) < _LONGEST_WORD:
            word.append(byte)
            byte = read(1)
        self.position += len(word) + len(byte)
        if not byte.isspace():
            reason = f"ends inside a key or type: {_CUT_OFF}" if not byte else "no key or type: not a Kaldi archive"
            raise self.error(reason)
        return b"".join(word), byte

    @_readable
    def line(self) -> bytes:
        """The rest of the line, with its end."""
        line = self.stream.readline()
        self.position += len(line)
        if not line.endswith(b"\n"):
            raise self.error(f"the last line has no end: {_CUT_OFF}")
        return line

    @_readable
    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.position += len(data)
        if len(data) < size:
            raise self.error(f"ends inside a value: {_CUT_OFF}")
        return data

    @_readable
    def array(self, count: int, dtype: Any) -> np.ndarray:
        """`count` items, straight into a new array."""
        try:
            array = np.empty(count, dtype)
        except (MemoryError, ValueError) as error:
            raise self.error(f"{count} numbers are more than memory holds: a damaged header?") from error
        done = self.stream.readinto(array.view("u1")) if count else 0  # type: ignore[attr-defined]
        self.position += done
        if done < array.nbytes:
            raise self.error(f"ends {array.nbytes - done} bytes early: {_CUT_OFF}")
        return array

    def sized_ints(self, count: int) -> tuple[int, ...]:
        """`count` integers, each after a byte with its size, as Kaldi writes them."""
        fields = struct.unpack("<" + "Bi" * count, self.read(5 * count))
        if set(fields[::2]) != {4}:
            raise self.error("an integer that is not of 4 bytes")
        return fields[1::2]


def read_key(cursor: Cursor) -> tuple[str, bytes]:
    """The next key of an archive and the white space after it."""
    cursor.entry = ""
    word, space = cursor.word()
    try:
        cursor.entry = check_key(word.decode("utf-8"))
    except (UnicodeDecodeError, DataError) as error:
        raise cursor.error(f"{word[:40]!r} is no key (UTF-8 text without spaces): not a Kaldi archive") from error
    return cursor.entry, space
