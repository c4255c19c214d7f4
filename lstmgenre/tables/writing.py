"""Writing tables."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from lstmgenre.errors import DataError, UsageError
from lstmgenre.tables import compression
from lstmgenre.tables.encoding import checked, encode
from lstmgenre.tables.maps import read_map
from lstmgenre.tables.opening import is_pipe, is_standard, is_stream, open_output
from lstmgenre.tables.records import remove_record
from lstmgenre.tables.rules import Kind, check_key, is_utf8
from lstmgenre.tables.specifiers import parse_wspecifier


class TableWriter:
    """Writes entries one at a time: `with TableWriter("ark,scp:a.ark,a.scp") as table: table.write(key, value)`.

    The files appear, whole, when the block ends well; after an exception nothing does. `compress` (matrices): True for
    Kaldi's automatic choice, or its method 1 to 7. A value that is refused leaves the table as it was. With an scp
    alone, each value goes to the file that this list names, and appears there at once.

    Raises UsageError for what is no wspecifier; DataError for a key that is empty, has white space, comes twice or is
    not in the list, for a value that is not of `kind` or not finite, and for a matrix whose number of columns differs
    from the first's.

    Examples
    --------
    An archive and a script that points into it, which `copy-feats` and other tools of Kaldi read:

    >>> import numpy as np
    >>> import lstmgenre
    >>> with lstmgenre.TableWriter("ark,scp:post.ark,post.scp") as table:
    ...     table.write("song-1", np.full((3, 2), 0.5))
    ...     table.write("song-2", np.full((4, 2), 0.5))
    >>> print(open("post.scp").read(), end="")
    song-1 post.ark:7
    song-2 post.ark:53
    """

    def __init__(self, wspecifier: str, kind: Kind = "matrix", compress: bool | int = False) -> None:
        self._spec = spec = parse_wspecifier(wspecifier)
        self._kind, self._method = kind, int(compress)
        if compress and (spec.text or kind != "matrix" or self._method not in compression.METHODS):
            raise UsageError(f"{wspecifier}: only binary matrices are compressed, by a method from 1 to 7")
        if spec.script and not spec.scattered:
            if is_pipe(spec.archive) or is_standard(spec.archive) or _is_same(spec.archive, spec.script):
                raise UsageError(f"{wspecifier}: an scp needs an archive that is a file of its own; write ark: alone")
            if "\n" in spec.archive or not is_utf8(spec.archive):
                raise UsageError(f"{wspecifier!r}: the archive's name cannot stand in an scp; name it otherwise")
            if os.path.isdir(spec.script):
                raise UsageError(f"{wspecifier}: {spec.script} is a directory; name a file")
        self._files = ExitStack()
        self._keys: set[str] = set()
        self._columns = 0
        self._position = 0

    def __enter__(self) -> TableWriter:
        if self._spec.scattered:
            self._places = read_map(self._spec.script)
            return self
        with ExitStack() as stack:
            self._script: BinaryIO | None = None
            if self._spec.script:
                self._script = stack.enter_context(open_output(self._spec.script))
            self._archive = stack.enter_context(open_output(self._spec.archive))
            stack.push(self._settle)
            self._files = stack.pop_all()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._files.__exit__(*exc_info)

    def write(self, key: str, value: Any) -> None:
        try:
            check_key(key)
            if key in self._keys:
                raise DataError("the key was written before; keys must be unique")
            value = checked(value, self._kind)
            self._check_columns(value)
            buffers = encode(value, self._kind, self._spec.text, self._method)
        except DataError as error:
            raise DataError(f"{self._spec.archive or self._spec.script or '-'}: {key}: {error}") from error
        self._keys.add(key)
        if self._spec.scattered:
            self._write_file(key, buffers)
        else:
            self._append(key, buffers)

    def _write_file(self, key: str, buffers: list[Any]) -> None:
        if key in self._places:
            with open_output(self._places[key]) as stream:
                stream.writelines(buffers)
        elif not self._spec.permissive:
            raise DataError(f"{self._spec.script}: no line for {key}; add one, or leave it out with scp,p:")

    def _append(self, key: str, buffers: list[Any]) -> None:
        head = key.encode() + b" "
        start = self._position + len(head)
        self._archive.write(head + buffers[0])
        self._archive.writelines(buffers[1:])
        self._position = start + sum(memoryview(buffer).nbytes for buffer in buffers)
        if self._script:
            self._script.write(f"{key} {self._spec.archive}:{start}\n".encode())
        if self._spec.flush:
            self._archive.flush()

    def _check_columns(self, value: Any) -> None:
        if self._kind == "matrix" and len(value):
            self._columns = self._columns or value.shape[1]
            if value.shape[1] != self._columns:
                raise DataError(f"{value.shape[1]} columns, where the entries before it have {self._columns}")

    def _settle(self, error: type[BaseException] | None, *_: Any) -> None:
        # Runs before any file gets its name: a disk that is full must undo both. The scp, which readers start from,
        # comes last, and an old one must never point into the new archive, nor an old record tell of it.
        if error is not None:
            return
        self._archive.flush()
        if self._script:
            self._script.flush()
            if not is_stream(self._spec.script):
                Path(os.path.realpath(self._spec.script)).unlink(missing_ok=True)
        if not is_stream(self._spec.archive):
            remove_record(self._spec.archive)


def _is_same(first: str, second: str) -> bool:
    return os.path.abspath(first) == os.path.abspath(second)
