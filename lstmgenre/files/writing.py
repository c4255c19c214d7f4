"""Files that appear whole or not at all, and files that are written through no link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lstmgenre.errors import DataError
from lstmgenre.files.temporary import locked_temporary, remove_dead, umask


@contextmanager
def atomic_output(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` and rename it to `path` if the block ends well.

    A reader never sees a part of the file; after an error or a kill the old file, or none, is what is there. That holds
    for processes: nothing waits for the disk, and what a power failure leaves may be short. A kill leaves the temporary
    file, which goes when `path` is written again. Text is UTF-8 with "\\n" line ends.

    Raises DataError where the directory cannot be written.
    """
    target = Path(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_dead(target)
        lock, temporary = locked_temporary(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        os.fchmod(lock, 0o666 & ~umask())
        with os.fdopen(os.dup(lock), mode, encoding=encoding, newline=newline) as stream:
            yield stream
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_about(error, temporary):
            raise DataError(f"{target}: cannot be written: {error.strerror}") from error
        raise
    finally:
        os.close(lock)


def _is_about(error: OSError, temporary: str) -> bool:
    """Whether writing, which tells no name, or renaming failed, and not something else that the block does."""
    return error.errno is not None and error.filename in (None, temporary) and not isinstance(error, BrokenPipeError)


def open_own(path: str | os.PathLike[str], mode: str = "a") -> IO[Any]:
    """Open a file in a directory of ours for writing, behind what it holds ("a") or anew ("w"); text is UTF-8.

    Anew is another file: a link goes, and who still writes to the old one does not write here. Raises DataError where
    it is a link or no regular file, and where it cannot be written.
    """
    anew = "w" in mode
    # O_NONBLOCK: else to open a named pipe would be to wait for its reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_EXCL if anew else os.O_APPEND)
    try:
        if anew:
            Path(path).unlink(missing_ok=True)
        descriptor = os.open(path, flags, mode=0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # what a link gives, and a pipe that nobody reads
            raise DataError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error
        descriptor = None
    if descriptor is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        if descriptor is not None:
            os.close(descriptor)
        raise DataError(f"{os.fspath(path)}: a link or no regular file, which is not written through: remove it")
    return os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8")


class Log:
    """A text stream for which a full disk is no error: what it does not take is lost, and the work goes on."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def flush(self) -> None:
        """It is done."""


@contextmanager
def open_log(path: str | os.PathLike[str], mode: str = "a") -> Iterator[Log]:
    """`open_own` for a log. Raises as that does."""
    stream = open_own(path, mode)
    try:
        yield Log(stream)
    finally:
        with suppress(OSError):
            stream.close()
