"""Directories that appear whole or not at all, that are no links, and that one run at a time writes in."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lstmgenre.errors import DataError
from lstmgenre.files.temporary import locked_temporary, remove_dead, umask

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


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


def check_writable(directory: Path) -> None:
    """Raises DataError where no file can be made in a directory, or in the nearest above it where it is not there."""
    there = next(path for path in (directory, *directory.parents, Path()) if os.path.lexists(path))
    if not there.is_dir():
        raise DataError(f"{there}: is no directory: name another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{there}: nothing can be written in that directory: name another")


def check_directory(path: Path, kinds: Collection[Collection[str]] = (), taken: str = "is there already") -> None:
    """Raises DataError where `atomic_directory` would, because of what has that name or of where it is."""
    target = Path(os.path.realpath(path))
    if target == Path.cwd():  # whoever is in it would be left in a directory without a name
        raise DataError(f"{path}: is the directory you are in: name another")
    if os.path.lexists(target) and not _is_empty(target) and not _is_one_of(target, kinds):
        raise DataError(f"{path}: {taken}")
    check_writable(target.parent)


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

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_one_of(aside, kinds):
            if os.path.lexists(target):
                _remove_files(aside, kinds)
            else:
                os.rename(aside, target)
        check_directory(path, kinds, taken)
        remove_dead(target)
        lock, temporary = locked_temporary(target, directory=True)
        made = os.fstat(lock).st_ino
        try:
            yield Path(temporary)
            check_directory(path, kinds, taken)
            os.fchmod(lock, 0o777 & ~umask())
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
