"""What Kaldi's copy-feats, copy-vector, feat-to-dim and feat-to-len do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from lstmgenre.errors import DataError
from lstmgenre.tables.opening import open_output
from lstmgenre.tables.reading import read_table
from lstmgenre.tables.rules import Kind
from lstmgenre.tables.specifiers import is_wspecifier
from lstmgenre.tables.writing import TableWriter


def copy(
    rspecifier: str, wspecifier: str, kind: Kind = "matrix", compress: bool | int = False, num_frames: str | None = None
) -> int:
    """Copy a table, and write the number of frames of its matrices to the wspecifier `num_frames`; returns its size.

    `compress` as TableWriter takes it. Raises DataError for an empty table, else as reading and writing do.
    """
    count = 0
    with ExitStack() as stack:
        copies = stack.enter_context(TableWriter(wspecifier, kind, compress))
        lengths = stack.enter_context(TableWriter(num_frames, "int")) if num_frames else None
        for key, value in read_table(rspecifier, kind):
            copies.write(key, value)
            if lengths:
                lengths.write(key, len(value))
            count += 1
        if not count:
            raise DataError(f"{rspecifier}: holds nothing, so nothing is written: check the step before")
    return count


def measure(rspecifier: str, number: Callable[[Any], int], wspecifier: str) -> None:
    """Write number(matrix) of each matrix to a wspecifier."""
    with TableWriter(wspecifier, "int") as table:
        for key, matrix in read_table(rspecifier):
            table.write(key, number(matrix))


def dimension(rspecifier: str, target: str) -> None:
    """Write the number of columns: that of the first matrix to a file (- is standard output), of each to a wspecifier.

    Raises DataError where there is no matrix.
    """
    if is_wspecifier(target):
        measure(rspecifier, lambda matrix: matrix.shape[1], target)
        return
    _, first = next(iter(read_table(rspecifier)), ("", None))
    if first is None:
        raise DataError(f"{rspecifier}: holds no features: check the step before")
    with open_output(target) as stream:
        stream.write(f"{first.shape[1]}\n".encode())


def num_frames(rspecifier: str) -> int:
    """The rows of all matrices together."""
    return sum(len(matrix) for _, matrix in read_table(rspecifier))
