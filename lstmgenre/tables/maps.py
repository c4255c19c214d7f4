"""Text files of `key value` lines: wav.scp, feats.scp, utt2spk, utt2genre and the like."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Iterator, Mapping

from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import atomic_output
from lstmgenre.tables.opening import open_input
from lstmgenre.tables.rules import check_key, is_utf8

_LONGEST_LINE = 1 << 24  # bytes: a line of spk2utt has room for the names of a hundred thousand tracks


def numbered_lines(rxfilename: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (`file: line N`, line with its end)."""
    with open_input(os.fspath(rxfilename)) as stream:
        try:
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), 1):
                where = f"{rxfilename or '-'}: line {number}"
                if len(line) == _LONGEST_LINE:
                    raise FormatError(f"{where}: has more than {_LONGEST_LINE} bytes: is this a text file?")
                yield where, line
        except OSError as error:
            raise DataError(f"{rxfilename or '-'}: cannot be read: {error.strerror or error}") from error


def file_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """As numbered_lines, of a regular file. Raises DataError for what may have no end: a named pipe, a device."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{os.fspath(path)}: is no regular file: put one there")
    return numbered_lines(path)


def parse_line(line: bytes, where: str) -> tuple[str, str]:
    """Key and the rest of one line, without white space around them. Raises FormatError; `where` is file and line."""
    if not line.endswith(b"\n"):
        raise FormatError(f"{where}: the line has no end: is the file cut off? If not, add a newline")
    words = line.split(None, 1)
    if len(words) < 2:
        raise FormatError(f"{where}: {'a key without a value' if words else 'an empty line'}; write KEY VALUE")
    try:
        key, value = words[0].decode("utf-8"), words[1].rstrip().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{where}: not UTF-8 (byte {error.object[error.start]:#04x}); convert the file") from error
    try:
        return check_key(key), value
    except DataError as error:
        raise FormatError(f"{where}: {error}") from error


def _raise(error: FormatError) -> None:
    raise error


def read_map(path: str | os.PathLike[str], on_error: Callable[[FormatError], None] = _raise) -> dict[str, str]:
    """The lines of a file as {key: rest of the line}, in the order of the file.

    A line without a value, bytes that are not UTF-8, a last line without an end, or a key that comes twice is a
    FormatError with the line number: raised, or handed to `on_error`, and then the first line of each key counts.
    Raises DataError where the file cannot be read.
    """
    mapping: dict[str, str] = {}
    for where, line in file_lines(path):
        try:
            key, value = parse_line(line, where)
            if key in mapping:
                raise FormatError(f"{where}: the key {key} comes twice; keep one of the two lines")
        except FormatError as error:
            on_error(error)
        else:
            mapping[key] = value
    return mapping


def write_map(path: str | os.PathLike[str], mapping: Mapping[str, str]) -> None:
    """Write {key: value} as sorted lines (C-locale order), whole or not at all. DataError for what is no line."""
    with atomic_output(path) as stream:
        for key in sorted(mapping):
            value = str(mapping[key])
            if not value or "\n" in value or value != value.strip(string.whitespace) or not is_utf8(value):
                raise DataError(
                    f"{os.fspath(path)}: {key}: {value!r} must be one line of UTF-8, not empty, no space at its ends"
                )
            stream.write(f"{check_key(key)} {value}\n")
