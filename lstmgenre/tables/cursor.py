"""A byte stream that knows where it is, so that an error can say so."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables.rules import check_key

_CHUNK = 8192  # bytes read ahead at least: headers and text
_LARGE = 65536  # bytes of an array from which on the next header is read together with it
_LONGEST_WORD = 4096  # of a key or type token: beyond, this is no archive
_WORD = re.compile(rb"(\S*)(\s)")
_INK = re.compile(rb"\S")
_CUT_OFF = "the file is cut off; make it again"


class Cursor:
    """Reads a binary stream forward only, as a pipe must be, and counts. `name` and `entry` are for the messages.

    It reads ahead: nothing else may read the stream after it. All methods raise FormatError, with the position, where
    the stream ends too early, and DataError where it cannot be read.
    """

    def __init__(self, stream: Any, name: str, position: int = 0) -> None:
        self._stream, self._name, self.entry = stream, name, ""
        self._buffer, self._at, self._start = b"", 0, position  # the buffer starts at byte _start, we are at _at in it

    def where(self) -> str:
        return f"{self._name}: {self.entry}" if self.entry else self._name

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.where()}, byte {self._start + self._at}: {message}")

    def at_end(self) -> bool:
        """Whether nothing but white space, which is skipped, is left."""
        while not (ink := _INK.search(self._buffer, self._at)):
            self._at = len(self._buffer)
            if not self._read_ahead():
                return True
        self._at = ink.start()
        return False

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Go past what `pattern` finds here, if the buffer holds it."""
        if found := pattern.match(self._buffer, self._at):
            self._at = found.end()
        return found

    def byte(self) -> bytes:
        """The next byte, or b"" at the end."""
        if self._at == len(self._buffer) and not self._read_ahead():
            return b""
        return self._take(1)

    def word(self) -> tuple[bytes, bytes]:
        """The bytes up to the next white space, and that white space."""
        while not (word := _WORD.match(self._buffer, self._at)):
            if len(self._buffer) - self._at > _LONGEST_WORD:
                raise self.error(f"no key or type within {_LONGEST_WORD} bytes: not a Kaldi archive")
            if not self._read_ahead():
                raise self.error(f"ends inside a key or type: {_CUT_OFF}")
        self._at = word.end()
        return word[1], word[2]

    def line(self) -> bytes:
        """The rest of the line, with its end."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if not self._read_ahead():
                raise self.error(f"the last line has no end: {_CUT_OFF}")
        return self._take(end + 1 - self._at)

    def read(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            if not self._read_ahead():
                raise self.error(f"ends inside a value: {_CUT_OFF}")
        return self._take(size)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The numbers of a whole array, straight into a new one of `shape`."""
        size = math.prod(shape) * dtype.itemsize
        try:
            room = np.empty(size + (_CHUNK if size >= _LARGE else 0), "u1")
        except (MemoryError, ValueError, OverflowError) as error:
            raise self.error(f"{math.prod(shape)} numbers are more than memory holds: a damaged header?") from error
        target = room.data
        ahead = self._take(size)
        target[: len(ahead)] = ahead
        if len(ahead) < size:
            done = len(ahead)
            while done < size and (more := self._guarded(self._stream.readinto1, target[done:])):
                done += more
            self._start += self._at + min(done, size) - len(ahead)
            self._buffer, self._at = bytes(target[size:done]), 0
            if done < size:
                raise self.error(f"ends {size - done} bytes early: {_CUT_OFF}")
        return np.ndarray(shape, dtype, room)

    def sized_ints(self, count: int) -> tuple[int, ...]:
        """`count` integers, each after a byte with its size, as Kaldi writes them."""
        fields = struct.unpack("<" + "Bi" * count, self.read(5 * count))
        if fields[::2] != (4,) * count:
            raise self.error("an integer that is not of 4 bytes")
        return fields[1::2]

    def _take(self, size: int) -> bytes:
        """Up to `size` bytes of the buffer."""
        taken = self._buffer[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def _read_ahead(self) -> bool:
        """Have more in the buffer; False at the end of the stream."""
        rest = self._buffer[self._at :]
        more = self._guarded(self._stream.read1, max(_CHUNK, len(rest)))
        self._start += self._at
        self._buffer, self._at = rest + more, 0
        return bool(more)

    def _guarded(self, read: Any, argument: Any) -> Any:
        try:
            return read(argument)
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
