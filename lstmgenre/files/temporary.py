"""What is written under another name first, beside the one it is to have. What a kill leaves goes the next time."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def locked_temporary(target: Path, directory: bool = False) -> tuple[int, str]:
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


def remove_dead(target: Path) -> None:
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


def umask() -> int:
    """The user's, which what a pipeline leaves behind should follow: mkstemp makes files private."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def in_temporary_directory() -> Iterator[None]:
    """The block writes temporary files. An OSError that names no file, as that of a full disk, gets the name of their
    directory: or else the file that they are made for would be blamed."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")
            error.strerror = f"{error.strerror}: no place for temporary files; set TMPDIR to a directory with more"
        raise
