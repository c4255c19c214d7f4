"""Files and directories that appear whole or not at all, files that are written through no link, and files that are
read if they are files and of a size to be read.

A data or experiment directory may come from a stranger. What a command writes in it, it writes by `atomic_output`,
which puts a new file in the place of a link, or by `open_own`, which refuses one. A directory that is a link is
followed, as recipes spread storage over disks, but not one that only commands make: `own_directory`. What the user
names on the command line may be a link: tables.open_output follows it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import os
import select
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from lstmgenre.errors import DataError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


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


def _locked_temporary(target: Path, directory: bool = False) -> tuple[int, str]:
    """A new file, or directory, beside `target`, locked for as long as its descriptor is open: the sign of a writer
    that lives."""
    prefix, suffix = f".{target.name}.", ".tmp"
    while True:
        if directory:
            fd = os.open(temporary := tempfile.mkdtemp(suffix, prefix, target.parent), os.O_RDONLY)
        else:
            fd, temporary = tempfile.mkstemp(suffix, prefix, target.parent)
        with suppress(OSError):  # a file system without locks; there, no other run can lock the file to remove it
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, temporary
        os.close(fd)  # another run has taken it for dead before it was locked


def _remove_dead(target: Path) -> None:
    """Remove the temporary files and directories of writers of `target` that were killed."""
    for temporary in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with suppress(OSError):
            descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    shutil.rmtree(temporary)
                else:
                    temporary.unlink()
            finally:
                os.close(descriptor)


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


def own_directory(path: Path) -> Path:
    """A directory that none but commands make; made where there is none.

    Raises DataError where it is a link or no directory, and where it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be made: {error.strerror}") from error
    if path.is_symlink():
        raise DataError(f"{path}: a link, which is not written through: remove it")
    return path


@contextmanager
def atomic_directory(
    path: Path, kinds: Collection[Collection[str]] = (), taken: str = "is there already"
) -> Iterator[Path]:
    """A new directory for the block to fill, which gets the name `path` in one step if the block ends well.

    What has that name may be an empty directory, or one of files that are called as one of the `kinds` says: all of
    these and nothing else. It is replaced; after an error or a kill it is what is there. Where a file system cannot
    exchange two directories, a kill can leave it as .NAME.old, and the next call brings it back.

    Raises DataError where something else has that name, which is `taken`, where it is the current directory, and where
    it cannot be written.
    """
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name}.old")

    def check() -> None:
        if target == Path.cwd():  # whoever is in it would be left in a directory without a name
            raise DataError(f"{path}: is the directory you are in: name another")
        if os.path.lexists(target) and not _is_empty(target) and not _is_one_of(target, kinds):
            raise DataError(f"{path}: {taken}")

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_one_of(aside, kinds):
            if os.path.lexists(target):
                _remove_files(aside, kinds)
            else:
                os.rename(aside, target)
        check()
        _remove_dead(target)
        lock, temporary = _locked_temporary(target, directory=True)
        made = os.fstat(lock).st_ino
        try:
            yield Path(temporary)
            check()
            os.fchmod(lock, 0o777 & ~_umask())
            _put(Path(temporary), target, aside)
        finally:
            if os.path.lexists(temporary):
                if os.stat(temporary).st_ino == made:
                    shutil.rmtree(temporary, ignore_errors=True)
                else:  # the old one, and nothing that has come into it meanwhile
                    with suppress(OSError):
                        _remove_files(Path(temporary), kinds)
            os.close(lock)
    except OSError as error:
        name = error.filename and os.fspath(error.filename)
        if name and not str(target).startswith(name) and not name.startswith(str(target.with_name(f".{target.name}."))):
            raise  # of what the block reads
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def _put(new: Path, target: Path, aside: Path) -> None:
    """Give `new` the name of `target`, which `new` then is a name of."""
    try:
        os.rename(new, target)  # over nothing, or an empty directory
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if exchange(new, target):
        return
    try:
        os.rename(target, aside)
        os.rename(new, target)
    except BaseException:
        if not os.path.lexists(target):
            os.rename(aside, target)
        raise
    os.rename(aside, new)


def exchange(first: Path, second: Path) -> bool:
    """Exchange the names of two files or directories in one step; False where this system has no way to."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if not rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV):
        return False
    raise OSError(number, os.strerror(number), str(second))


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def _is_one_of(directory: Path, kinds: Collection[Collection[str]]) -> bool:
    if directory.is_symlink() or not directory.is_dir():
        return False
    found = {path.name: path.is_file() for path in directory.iterdir()}
    return all(found.values()) and any(found.keys() == set(names) for names in kinds)


def _remove_files(directory: Path, kinds: Collection[Collection[str]]) -> None:
    for name in {name for names in kinds for name in names}:
        (directory / name).unlink(missing_ok=True)
    directory.rmdir()


@contextmanager
def in_temporary_directory() -> Iterator[None]:
    """The block writes temporary files; an OSError that names no file, as that of a full disk, gets the name of the
    directory where they are, lest it be blamed on the file that they are made for."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")
            error.strerror = f"{error.strerror}: no place for temporary files; set TMPDIR to a directory with more"
        raise


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
