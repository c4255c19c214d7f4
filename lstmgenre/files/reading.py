"""Files that are read if they are files and of a size to be read, and named pipes that somebody writes to."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from lstmgenre.errors import DataError


def read_file(path: str | os.PathLike[str], largest: int) -> bytes:
    """The content of a regular file of at most `largest` bytes. Raises DataError for a file that cannot be read, is
    larger, or is none: a pipe that nobody writes to, or a device without an end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else a named pipe would have us wait for a writer
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataError(f"{path}: is no regular file")
            with open(descriptor, "rb", buffering=0, closefd=False) as stream:
                return read_all(stream, largest, os.fspath(path))
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_all(stream: BinaryIO, largest: int, name: str) -> bytes:
    """What is left of a stream, of at most `largest` bytes. Raises DataError, with `name`, where it is more."""
    content = bytearray()
    while more := stream.read(min(1 << 20, largest + 1 - len(content))):
        content += more
        if len(content) > largest:
            raise DataError(f"{name}: is larger than {largest} bytes")
    return bytes(content)


@contextmanager
def open_fifo(path: str | os.PathLike[str], patience: float = 10) -> Iterator[BinaryIO]:
    """Open a named pipe for reading. Raises DataError where nobody has it open to write within `patience` seconds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as stream:
        ready = select.poll()
        ready.register(descriptor, select.POLLIN)
        if not ready.poll(1000 * patience):
            with suppress(BlockingIOError):  # who has it open only takes his time
                if not os.read(descriptor, 1):
                    raise DataError(f"{path}: nobody writes to this pipe: start who does first")
        os.set_blocking(descriptor, True)
        yield stream


def state_of(path: str | os.PathLike[str]) -> list[Any]:
    """What tells whether a file was written again: name, size, time; its name alone where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [os.fspath(path)]
    return [os.fspath(path), status.st_size, status.st_mtime_ns]
