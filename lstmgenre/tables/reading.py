"""Reading tables: entry by entry, or by key."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, BinaryIO, Literal, overload

import numpy as np
import numpy.typing as npt

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables.cursor import Cursor
from lstmgenre.tables.decoding import read_entry, read_value
from lstmgenre.tables.maps import numbered_lines, parse_line
from lstmgenre.tables.opening import is_pipe, is_standard, open_file, open_input, split_offset
from lstmgenre.tables.rules import Kind
from lstmgenre.tables.specifiers import Rspecifier, parse_range, parse_rspecifier, split_range

logger = logging.getLogger(__name__)

Entry = tuple[str, Any]


@overload
def read_table(
    rspecifier: str, kind: Literal["matrix", "vector"] = "matrix"
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]: ...
@overload
def read_table(rspecifier: str, kind: Kind) -> Iterator[Entry]: ...
def read_table(rspecifier: str, kind: Kind = "matrix") -> Iterator[Entry]:
    """Yield (key, value) in the order of the table, with one value in memory at a time.

    matrix: float32 (rows, cols), with as many columns in every one that has rows; vector: float32 (n,); int-vector:
    int32 (n,); posterior: a list, one per frame, of lists of (class, weight); int, float, token: a number or str.

    Raises FormatError (with file, entry and byte) for what is not in Kaldi's form and DataError for what is, but cannot
    be used: an unreadable file, a failed command, a number that is not finite, a key that comes twice. With the option
    `p` such entries are logged and skipped; an archive that is broken ends there, since what follows cannot be found.

    Examples
    --------
    >>> import numpy as np
    >>> import lstmgenre
    >>> with lstmgenre.TableWriter("ark:tiny.ark") as table:
    ...     table.write("song-1", np.eye(2))
    >>> for utterance, features in lstmgenre.read_table("ark:tiny.ark"):
    ...     print(utterance, features.shape, features.dtype)
    song-1 (2, 2) float32
    """
    spec = parse_rspecifier(rspecifier)
    return _entries(spec, _loaders(spec, kind), same_columns=kind == "matrix")


def open_table(rspecifier: str, kind: Kind = "matrix") -> Table:
    """Random access by key: an scp is loaded on demand, an archive is read into memory.

    With the options `s,cs` an archive is read as it is asked, one entry in memory: ask for keys in order then.
    Raises KeyError for a key that is not there or, with the option `p`, cannot be read; else as :func:`read_table`, but
    that matrices may have different numbers of columns.
    """
    spec = parse_rspecifier(rspecifier)
    if spec.script:
        return _Script(spec, kind)
    entries = _entries(spec, _loaders(spec, kind), same_columns=False)
    return _SortedArchive(spec.rxfilename, entries) if spec.sorted and spec.called_sorted else _Archive(entries)


def read_script(rspecifier: str) -> Iterator[tuple[str, str]]:
    """Yield (key, rxfilename) of the list of an scp:, checked as by `read_table`, without a look at what it names."""
    return _names(parse_rspecifier(rspecifier))


def file_of(rxfilename: str) -> str:
    """The file that is read under this name, without offset and range; "" for a command or standard input."""
    name, _ = split_range(rxfilename)
    return "" if is_pipe(name) or is_standard(name) else split_offset(name)[0]


def files_of(rspecifier: str) -> Iterator[str]:
    """Yield where a table is read from, each file once: an archive, or a list and all it names. As `file_of` tells."""
    spec = parse_rspecifier(rspecifier)
    yield file_of(spec.rxfilename)
    if spec.script:
        yield from sorted({file_of(name) for _, name in _names(spec)})


def first_file(rspecifier: str) -> str:
    """The file that the first value of a table is in; "" where that cannot be told without using up the input."""
    spec = parse_rspecifier(rspecifier)
    name = file_of(spec.rxfilename)
    if not os.path.isfile(name):
        return ""
    return file_of(next((rxfilename for _, rxfilename in _names(spec)), "")) if spec.script else name


Loaders = Generator[Callable[[], Entry], None, None]


def _entries(spec: Rspecifier, loaders: Loaders, same_columns: bool) -> Generator[Entry, None, None]:
    """What each loader gives, checked; with the option `p`, what fails is skipped."""
    check = _Checks(spec, same_columns)
    for load in loaders:
        try:
            key, value = load()
            check(key, value)
        except (DataError, FormatError) as error:
            if not spec.permissive:
                # Told to the input, too: if it is a command that has failed, that is the cause, and is raised instead.
                loaders.throw(error)
            logger.warning("skipped: %s", error)
            if isinstance(error, FormatError) and not spec.script:
                return
        else:
            yield key, value


def _names(spec: Rspecifier) -> Iterator[tuple[str, str]]:
    lines = (partial(parse_line, line, where) for where, line in numbered_lines(spec.rxfilename))
    return _entries(spec, lines, same_columns=False)


class Table(Mapping[str, Any]):
    """A mapping from key to value that may hold an open file: use it in a `with` block, or let it go."""

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class _Archive(Table):
    def __init__(self, entries: Iterator[Entry]) -> None:
        self._values = dict(entries)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _SortedArchive(Table):
    """Holds the last entry read. It knows neither its length nor its keys."""

    def __init__(self, name: str, entries: Generator[Entry, None, None]) -> None:
        self._name, self._entries = name, entries
        self._asked = ""
        self._entry: Entry | None = ("", None)  # None after the last

    def __getitem__(self, key: str) -> Any:
        if key < self._asked:
            raise self._unordered(f"{key} is asked for after {self._asked}")
        self._asked = key
        while self._entry and self._entry[0] < key:
            self._entry = next(self._entries, None)
        if not self._entry or self._entry[0] != key:
            raise KeyError(key)
        return self._entry[1]

    def __iter__(self) -> Iterator[str]:
        raise self._unordered("all of it is asked for")

    def __len__(self) -> int:
        raise self._unordered("its length is asked for")

    def __exit__(self, *exc_info: object) -> None:
        self._entries.close()

    def _unordered(self, what: str) -> DataError:
        return DataError(f"{self._name}: read with the option cs, but {what}; drop cs")


class _Script(Table):
    def __init__(self, spec: Rspecifier, kind: Kind) -> None:
        self._permissive = spec.permissive
        self._files = _Files(kind)
        self._names = dict(_names(spec))

    def __getitem__(self, key: str) -> Any:
        try:
            return self._files.load(key, self._names[key])
        except (DataError, FormatError) as error:
            if not self._permissive:
                raise
            logger.warning("skipped: %s", error)
            raise KeyError(key) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __exit__(self, *exc_info: object) -> None:
        self._files.close()


class _Checks:
    """What must hold from one entry to the next."""

    def __init__(self, spec: Rspecifier, same_columns: bool) -> None:
        self._name, self._sorted, self._same_columns = spec.rxfilename or "-", spec.sorted, same_columns
        self._seen: set[str] = set()
        self._last = ""
        self._columns: tuple[str, int] | None = None

    def __call__(self, key: str, value: Any) -> None:
        if key in self._seen:
            raise DataError(f"{self._name}: {key}: the key comes twice; keep one of the two entries")
        if self._sorted and key < self._last:
            raise DataError(
                f"{self._name}: {key} comes after {self._last}: not in C order; sort it or drop the option s"
            )
        self._seen.add(key)
        self._last = key
        if self._same_columns and len(value):
            first, columns = self._columns = self._columns or (key, value.shape[1])
            if value.shape[1] != columns:
                raise DataError(
                    f"{self._name}: {key}: {value.shape[1]} columns, where {first} has {columns}; "
                    "do not mix features of two kinds in one table"
                )


def _loaders(spec: Rspecifier, kind: Kind) -> Loaders:
    """One function per entry, to be called before the next is asked for."""
    if spec.script:
        with _Files(kind) as files:
            for where, line in numbered_lines(spec.rxfilename):
                yield partial(_load_line, files, line, where)
    else:
        with open_input(spec.rxfilename) as stream:
            cursor = Cursor(stream, spec.rxfilename or "-", split_offset(spec.rxfilename)[1])
            while not cursor.at_end():
                yield partial(read_entry, cursor, kind)


def _load_line(files: _Files, line: bytes, where: str) -> Entry:
    key, name = parse_line(line, where)
    return key, files.load(key, name)


class _Files(ExitStack):
    """Loads what the lines of an scp name. The last file stays open: they mostly name one archive after the other."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._kind = kind
        self._path = ""
        self._stream: BinaryIO | None = None

    def load(self, key: str, rxfilename: str) -> Any:
        try:
            name, wanted = split_range(rxfilename)
            value = self._load(name)
            return _cut(value, wanted, f"{key}: {name}") if wanted else value
        except (DataError, FormatError) as error:
            raise type(error)(f"{key}: {error}") from error

    def _load(self, name: str) -> Any:
        if is_pipe(name) or is_standard(name):
            with open_input(name) as stream:
                return read_value(Cursor(stream, name), self._kind)
        path, offset = split_offset(name)
        return read_value(Cursor(self._seek(path, offset), path, offset), self._kind)

    def _seek(self, path: str, offset: int) -> BinaryIO:
        if path != self._path or self._stream is None:
            self.close()
            self._stream = None
            self._stream, self._path = self.enter_context(open_file(path)), path
        try:
            self._stream.seek(offset)
        except OSError as error:
            raise DataError(f"{path}:{offset}: cannot be read: {error.strerror or error}") from error
        return self._stream


def _cut(value: Any, wanted: str, where: str) -> Any:
    if not isinstance(value, np.ndarray):
        raise FormatError(f"range [{wanted}] of a value that is no matrix or vector")
    slices, cut = parse_range(wanted, value.shape)
    if cut:
        logger.warning("%s: range [%s] ends after the last of %d rows and is cut there", where, wanted, len(value))
    return np.ascontiguousarray(value[slices])
