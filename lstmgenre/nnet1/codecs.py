"""The tokens, numbers and arrays of an nnet1 file, in binary and in text.

Binary files start with "\\0B"; a number is "\\4" and four bytes, a matrix "FM ", rows, columns and row-major float32
(DM: float64), a vector "FV " and its length. Text has 7 significant digits, and arrays as in Kaldi's tables.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from lstmgenre.errors import FormatError
from lstmgenre.tables.encoding import encode
from lstmgenre.tables.rules import INT32, as_float32, is_finite, parse_number

_BINARY = b"\0B"
_LARGEST = float(np.finfo(np.float32).max)
_INK = re.compile(rb"\S")
_LONGEST_TOKEN = 100  # bytes; the longest tag has 24, a number as Kaldi writes it 14


def reader_of(content: bytes, name: str) -> Reader:
    """For a file's content; `name` is what errors call it."""
    return (BinaryReader if content.startswith(_BINARY) else TextReader)(content, name)


class Reader:
    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self.name = name
        self.position = 0

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.name}: {self.where()}: {message}")

    def where(self) -> str:
        return f"byte {self.position}"

    def token(self) -> str:
        raise NotImplementedError

    def at_tag(self) -> bool:
        raise NotImplementedError

    def integer(self) -> int:
        raise NotImplementedError

    def integers(self) -> list[int]:
        raise NotImplementedError

    def number(self) -> float:
        """A finite number that a float32 has room for, as Kaldi holds it."""
        raise NotImplementedError

    def array(self, shape: tuple[int, ...], what: str) -> torch.Tensor:
        """A matrix or vector as a float32 tensor of this shape, finite."""
        with np.errstate(over="ignore"):
            values = np.array(self._values(shape, what), dtype=np.float32)
        if not np.isfinite(values).all():
            raise self.error(f"{what}, which ends here, has values that are not finite")
        return torch.from_numpy(values.reshape(shape))

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        raise NotImplementedError

    def end(self) -> None:
        if self.content[self.position :].strip():
            raise self.error("there is more after </Nnet>")


class BinaryReader(Reader):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content, name)
        self.position = len(_BINARY)

    def _take(self, size: int) -> bytes:
        taken = self.content[self.position : self.position + size]
        if len(taken) < size:
            raise self.error(f"the file ends here, {size - len(taken)} bytes too early")
        self.position += size
        return taken

    def token(self) -> str:
        end = self.content.find(b" ", self.position)
        if end < 0:
            raise self.error("the file ends here, before </Nnet>")
        if not self.at_tag() or end - self.position > _LONGEST_TOKEN:
            raise self.error("no <Tag> where one should be")
        return self._take(end + 1 - self.position)[:-1].decode("ascii", "backslashreplace")

    def at_tag(self) -> bool:
        return self.content[self.position : self.position + 1] == b"<"

    def _sized(self, kinds: Mapping[int, str]) -> np.generic:
        size = self._take(1)[0]
        if size not in kinds:
            self.position -= 1
            raise self.error(f"size byte {size} where {' or '.join(map(str, kinds))} should be")
        return np.frombuffer(self._take(size), kinds[size])[0]

    def integer(self) -> int:
        return int(self._sized({4: "<i4"}))

    def integers(self) -> list[int]:
        if self._take(1)[0] != 4:
            raise self.error("no vector of 4-byte integers where one should be")
        count = int(np.frombuffer(self._take(4), "<i4")[0])
        if count < 1:
            raise self.error(f"a vector of {count} integers")
        return np.frombuffer(self._take(4 * count), "<i4").tolist()

    def number(self) -> float:
        value = float(self._sized({4: "<f4", 8: "<f8"}))
        if not _fits(value):
            raise self.error("a number that is not finite, or has no room in 32 bits, ends here")
        return value

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        letter = "M" if len(shape) == 2 else "V"
        start = self.position
        mark = self._take(3)
        if mark not in (f"F{letter} ".encode(), f"D{letter} ".encode()):
            self.position = start
            raise self.error(f"{mark!r} where the {'matrix' if letter == 'M' else 'vector'} {what} should start")
        found = tuple(self.integer() for _ in shape)
        if found != shape:
            raise self.error(f"{what} is {found}, should be {shape}")
        dtype = np.dtype("<f4" if mark[:1] == b"F" else "<f8")
        return np.frombuffer(self._take(int(np.prod(shape, dtype=object)) * dtype.itemsize), dtype)


class TextReader(Reader):
    def where(self) -> str:
        line = self.content.count(b"\n", 0, self.position) + 1
        return f"line {line}"

    def _skip_space(self) -> None:
        found = _INK.search(self.content, self.position)
        self.position = found.start() if found else len(self.content)

    def token(self) -> str:
        self._skip_space()
        token = self.content[self.position : self.position + _LONGEST_TOKEN + 1].split(maxsplit=1)
        if not token:
            raise self.error("the file ends here, before </Nnet>")
        if len(token[0]) > _LONGEST_TOKEN:
            raise self.error(f"{token[0][:20]!r}... is no tag and no number: it has more than {_LONGEST_TOKEN} bytes")
        self.position += len(token[0])
        return token[0].decode("ascii", "backslashreplace")

    def at_tag(self) -> bool:
        self._skip_space()
        return self.content[self.position : self.position + 1] == b"<"

    def integer(self) -> int:
        token = self.token()
        try:
            return parse_number(token, int)
        except ValueError:
            raise self.error(f"{token!r} where an integer should be") from None

    def number(self) -> float:
        token = self.token()
        try:
            value = parse_number(token, float)
        except ValueError:
            raise self.error(f"{token!r} where a number should be") from None
        if not _fits(value):
            raise self.error(f"{token} where a finite number should be that has room in 32 bits")
        return value

    def _bracketed(self, what: str) -> bytes:
        if (token := self.token()) != "[":
            raise self.error(f"{token!r} where the [ of {what} should be")
        end = self.content.find(b"]", self.position)
        if end < 0:
            raise self.error(f"{what} starts here and has no ]")
        inside = self.content[self.position : end]
        self.position = end + 1
        return inside

    def integers(self) -> list[int]:
        try:
            numbers = [parse_number(number, int) for number in self._bracketed("a vector of integers").split()]
        except ValueError:
            raise self.error("a vector of integers that ends here has something else in it") from None
        if not numbers:
            raise self.error("an empty vector of integers")
        return numbers

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        inside = self._bracketed(what)
        rows = inside.strip().split(b"\n") if len(shape) == 2 else [inside]
        found = (len(rows), len(rows[0].split())) if len(shape) == 2 else (len(inside.split()),)
        if found != shape or any(len(row.split()) != shape[-1] for row in rows):
            raise self.error(f"{what}, which ends here, is {found}, should be {shape}")
        try:
            if b"_" in inside:  # which Python takes in a number, and no other reader does
                raise ValueError
            return np.array(inside.split(), dtype=np.float64)
        except ValueError:
            raise self.error(f"{what}, which ends here, has something in it that is no number") from None


def _fits(value: float) -> bool:
    return abs(value) <= _LARGEST


class Writer:
    """What it has no room for it refuses with a FormatError, so that whatever is written can be read."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()

    def token(self, token: str) -> None:
        self.stream.write(f"{token} ".encode())

    def end_line(self) -> None:
        """End a line, in text."""

    def integer(self, value: int) -> None:
        if not INT32.min <= value <= INT32.max:
            raise FormatError(f"{value} has no room in the 32 bits of an integer of a model")
        self._integer(value)

    def integers(self, values: Sequence[int]) -> None:
        if not values or not INT32.min <= min(values) <= max(values) <= INT32.max:
            raise FormatError("integers of a model that are none, or have no room in 32 bits")
        self._integers(values)

    def number(self, value: float) -> None:
        if not _fits(value):
            raise FormatError(f"{value} is no finite number that has room in the 32 bits of a number of a model")
        self._number(value)

    def array(self, values: np.ndarray) -> None:
        values = as_float32(values)
        if not is_finite(values, "matrix"):
            raise FormatError("a model with parameters that are not finite in 32 bits is not written")
        self._array(values)

    def _integer(self, value: int) -> None:
        raise NotImplementedError

    def _integers(self, values: Sequence[int]) -> None:
        raise NotImplementedError

    def _number(self, value: float) -> None:
        raise NotImplementedError

    def _array(self, values: np.ndarray) -> None:
        raise NotImplementedError


class BinaryWriter(Writer):
    def __init__(self) -> None:
        super().__init__()
        self.stream.write(_BINARY)

    def _integer(self, value: int) -> None:
        self.stream.write(b"\4" + np.array(value, "<i4").tobytes())

    def _integers(self, values: Sequence[int]) -> None:
        self.integer(len(values))
        self.stream.write(np.array(values, "<i4").tobytes())

    def _number(self, value: float) -> None:
        self.stream.write(b"\4" + np.array(value, "<f4").tobytes())

    def _array(self, values: np.ndarray) -> None:
        self.token("FM" if values.ndim == 2 else "FV")
        for size in values.shape:
            self.integer(size)
        self.stream.write(values.astype("<f4").tobytes())


class TextWriter(Writer):
    def end_line(self) -> None:
        self.stream.write(b"\n")

    def _integer(self, value: int) -> None:
        self.stream.write(b"%d " % value)

    def _integers(self, values: Sequence[int]) -> None:
        self.stream.write(f"[ {' '.join(map(str, values))} ]\n".encode())

    def _number(self, value: float) -> None:
        # A float32 first, as Kaldi holds it: 0.1 has 7 digits either way, but 1/3 has not.
        self.stream.write(b"%.7g " % np.float32(value))

    def _array(self, values: np.ndarray) -> None:
        self.stream.writelines(encode(values, "matrix" if values.ndim == 2 else "vector", text=True))
