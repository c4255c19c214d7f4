"""The command line: every command parses, calls one library function and shows the result."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from lstmgenre import console
from lstmgenre.cli import baselines, bundles, data, features, nets, scores, segments  # noqa: F401 (register commands)
from lstmgenre.cli.app import app
from lstmgenre.errors import LstmGenreError


class Interrupted(BaseException):
    """Ctrl-C; a class of our own because Typer answers KeyboardInterrupt itself, with exit status 1."""


def main() -> None:
    """Run the command line; what a user can mend ends in one line on stderr and exit status 1."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except LstmGenreError as error:
        _end(str(error), 1)
    except BrokenPipeError:
        # The reader has gone (head, a closed pager) and nobody is left to tell; nor may Python complain as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Interrupted:
        _end("interrupted: the same command goes on where this one stopped", 128 + signal.SIGINT)
    except MemoryError:
        _end("out of memory: use fewer jobs (--nj) or a machine with more of it", 1)
    except OSError as error:
        _end(f"{error.filename or 'input or output'}: {error.strerror or error}", 1)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted


def _end(message: str, status: int) -> None:
    console.fail(message)
    sys.exit(status)
