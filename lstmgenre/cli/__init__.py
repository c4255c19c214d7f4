"""The command line: every command parses, calls one library function and shows the result."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from types import FrameType

from lstmgenre import console

# Each registers its commands, in the order in which --help shows them: that of the pipeline.
# isort: off
from lstmgenre.cli import data, features, nets, segments, scores, baselines, bundles  # noqa: F401

# isort: on
from lstmgenre.cli.app import app
from lstmgenre.errors import LstmGenreError

_STOPS = signal.SIGINT, signal.SIGTERM


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; a class of our own because Typer answers KeyboardInterrupt itself, with exit status 1."""


def main() -> None:
    """Run the command line; what a user can mend ends in one line on stderr and exit status 1."""
    for signum in _STOPS:
        signal.signal(signum, _interrupt)
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no matter for tracebacks
    try:
        app()
    except LstmGenreError as error:
        _end(str(error), 1)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        # The reader has gone (head, a closed pager) and nobody is left to tell; nor may Python complain as it flushes.
        # Typer makes status 1 of it, but whoever runs us in a pipe knows the shell's status of a SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        sys.exit(128 + signal.SIGPIPE)
    except Interrupted as stop:
        _end(f"interrupted; to go on: {shlex.join(['lstmgenre', *sys.argv[1:]])}", 128 + stop.args[0])
    except MemoryError:
        _end("out of memory: use fewer jobs (--nj) or a machine with more of it", 1)
    except OSError as error:
        _end(f"{error.filename or 'input or output'}: {error.strerror or error}", 1)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    for each in _STOPS:
        signal.signal(each, signal.SIG_IGN)  # files are being tidied up, which a second Ctrl-C must not cut short
    raise Interrupted(signum)


def _end(message: str, status: int) -> None:
    console.fail(message)
    sys.exit(status)
