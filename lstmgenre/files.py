"""Files that appear whole or not at all, and JSON files that are read or named as damaged."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from lstmgenre.errors import DataError, FormatError, LstmGenreError

T = TypeVar("T")


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
        _remove_dead(target)
        lock, temporary = _locked_temporary(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        os.fchmod(lock, 0o666 & ~_umask())
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


def _locked_temporary(target: Path) -> tuple[int, str]:
    """A new file beside `target`, locked for as long as its descriptor is open: the sign of a writer that lives."""
    while True:
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        with suppress(OSError):  # a file system without locks; there, no other run can lock the file to remove it
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, temporary
        os.close(fd)  # another run has taken it for dead before it was locked


def _remove_dead(target: Path) -> None:
    """Remove the temporary files of writers of `target` that were killed."""
    for temporary in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(OSError), open(temporary, "r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()


@contextmanager
def exclusive(directory: Path) -> Iterator[Path]:
    """Be the one run that writes in a directory, which is made if need be. Raises DataError where another one does."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks for directories
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(f"{directory}: another run writes here: wait for its end, or stop it") from error
        yield directory
    finally:
        os.close(descriptor)


def state_of(path: str | os.PathLike[str]) -> list[Any]:
    """What tells whether a file was written again: name, size, time; its name alone where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [os.fspath(path)]
    return [os.fspath(path), status.st_size, status.st_mtime_ns]


def _umask() -> int:
    # mkstemp makes files private; what a pipeline leaves behind should follow the user's umask like any other file.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file, whole or not at all; an array of numpy's becomes a list. Raises DataError as atomic_output."""
    with atomic_output(path) as stream:
        json.dump(content, stream, indent=indent, ensure_ascii=False, default=lambda value: value.tolist())
        stream.write("\n")


def read_json(path: Path, build: Callable[[Any], T], remedy: str) -> T:
    """What `build` makes of the content of a JSON file.

    Raises DataError where it cannot be read, and FormatError where it is no JSON or `build` fails on it; both tell
    `remedy`.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: {remedy}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"{path}: damaged ({type(error).__name__}: {error}): {remedy}") from error
    except LstmGenreError as error:
        raise FormatError(f"{path}: damaged ({error}): {remedy}") from error
