"""A byte stream that knows where it is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables.rules import check_key

_LONGEST_WORD = 4096  # of a key or type token: beyond, this is no archive


class Cursor:
    """A byte stream that knows where it is, so that an error can say so."""

    def __init__(self, stream: BinaryIO, name: str, position: int = 0, entry: str = "") -> None:
        self.stream, self.name, self.position, self.entry = stream, name, position, entry
        self._next = b""

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.where()}, byte {self.position}: {message}")

    def where(self) -> str:
        return f"{self.name}: {self.entry}" if self.entry else self.name

    def byte(self) -> bytes:
        """The next byte, or b"" at the end."""
        byte, self._next = self._next or self._count(self._guard(self.stream.read, 1)), b""
        return byte

    def at_end(self) -> bool:
        """Whether nothing but white space is left."""
        while (byte := self.byte()).isspace():
            pass
        self._next = byte
        return not byte

    def read(self, size: int) -> bytes:
        data = self._count(self._guard(self.stream.read, size))
        if len(data) < size:
            raise self.error("ends inside a value: the file is cut off; make it again")
        return data

    def array(self, count: int, dtype: Any) -> np.ndarray:
        """`count` items straight into a new array."""
        try:
            array = np.empty(count, dtype)
        except (MemoryError, ValueError) as error:
            raise self.error(f"{count} numbers are more than memory holds: a damaged header?") from error
        done = self._guard(self.stream.readinto, array.view("u1")) if count else 0  # type: ignore[attr-defined]
        self.position += done
        if done < array.nbytes:
            raise self.error(f"ends {array.nbytes - done} bytes early: the file is cut off; make it again")
        return array

    def line(self) -> bytes:
        """The rest of the line, with its end."""
        line = self._count(self._guard(self.stream.readline))
        if not line.endswith(b"\n"):
            raise self.error("the last line has no end: the file is cut off; make it again")
        return line

    def word(self) -> tuple[bytes, bytes]:
        """Skip white space, then bytes up to the next white space, and that white space; (b"", b"") at the end."""
        while (byte := self.byte()).isspace():
            pass
        word = bytearray()
        while byte and not byte.isspace():
            word += byte
            if len(word) > _LONGEST_WORD:
                raise self.error(f"no key or type within {_LONGEST_WORD} bytes: not a Kaldi archive")
            byte = self.byte()
        if word and not byte:
            raise self.error("ends inside a key or type: the file is cut off; make it again")
        return bytes(word), byte

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.read(layout.size))

    def _count(self, data: bytes) -> bytes:
        self.position += len(data)
        return data

    def _guard(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except OSError as error:
            raise DataError(f"{self.where()}: cannot be read: {error.strerror or error}") from error


def read_key(cursor: Cursor) -> tuple[str, bytes]:
    """The next key of an archive and the white space after it."""
    cursor.entry = ""
    word, space = cursor.word()
    try:
        cursor.entry = check_key(word.decode("utf-8"))
    except (UnicodeDecodeError, DataError) as error:
        raise cursor.error(f"{word[:40]!r} is no key (UTF-8 text without spaces): not a Kaldi archive") from error
    return cursor.entry, space
