"""The program: runs a command. What a user can mend, or has stopped, ends in one line."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import re
import shlex
import signal
import sys
from contextlib import suppress
from types import FrameType

from lstmgenre.errors import LstmGenreError

_STOPS = signal.SIGINT, signal.SIGTERM
_OUT_OF_MEMORY = re.compile("out of memory|allocate memory|create a primitive|start new thread|failed to map segment")
"""What torch, threads and imports that find no room say; they raise RuntimeError or ImportError, not MemoryError."""

# Here, and not in main(), because processes that the program starts import this, too. For every 700 objects that torch
# brings and that stay Python would look for garbage anew, and at the end in all of them, for half a second. And the C
# library would give the memory of every song back to the system, to get it page by page for the next; once it has seen
# a block of this size come and go, it keeps as much.
gc.set_threshold(50_000)
atexit.register(gc.freeze)
bytes(31 << 20)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; a class of our own because Typer answers KeyboardInterrupt itself, with exit status 1."""


def main() -> None:
    """Run the command line; what a user can mend ends in one line on stderr and exit status 1."""
    for signum in _STOPS:
        signal.signal(signum, _interrupt)
    _occupy_standard_streams()
    try:
        from lstmgenre.cli import app  # here, because it takes long enough for a Ctrl-C

        try:
            app()
        finally:
            _flush_results()
    except LstmGenreError as error:
        _end(str(error), error.exit_status)
    except (SystemExit, BrokenPipeError) as end:
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        # The reader has gone (head, a closed pager) and nobody is left to tell; nor may Python complain as it flushes.
        # Typer makes status 1 of it, but whoever runs us in a pipe knows the shell's status of a SIGPIPE.
        _drop_results()
        sys.exit(128 + signal.SIGPIPE)
    except Interrupted as stop:
        for signum in _STOPS:
            signal.signal(signum, signal.SIG_IGN)
        if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts, one speaks
            _fail(f"interrupted; to go on: {shlex.join(['lstmgenre', *sys.argv[1:]])}")
        sys.exit(128 + stop.args[0])
    except OSError as error:
        _end(f"{error.filename or 'input or output'}: {error.strerror or error}", 1)
    except Exception as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        reason = f" ({' '.join(str(error).split())})" if str(error) else ""  # torch's have several lines
        _end(f"out of memory{reason}: use fewer jobs (--nj) or a machine with more of it", 1)


class _Closed(io.TextIOBase):
    """Standard output where there is none: results must not seem to have come anywhere."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "is closed", "standard output")


def _occupy_standard_streams() -> None:
    """Where one of them is closed, the next file to be opened would take its place: error lines could end up in an
    archive. Where there is no standard error, Python's print takes standard output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _Closed()


def _flush_results() -> None:
    """Python would tell by a traceback, when all is done, that a full disk did not take the last of the results."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _drop_results()
        if error.filename is None:
            error.filename = "standard output"
        raise


def _drop_results() -> None:
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted(signum)


def _fail(message: str) -> None:
    from lstmgenre import console

    with suppress(OSError):  # nobody listens
        console.fail(message)


def _end(message: str, status: int) -> None:
    _fail(message)
    sys.exit(status)


if __name__ == "__main__":
    main()
