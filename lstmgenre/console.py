"""What a person sees: log lines and progress on stderr, results on stdout."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lstmgenre.text import OneLine, visible, visible_json

_LOG_EVERY = 30.0  # seconds between progress lines where stderr is no terminal


class _Plain(OneLine):
    def formatMessage(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"lstmgenre: {level}{super().formatMessage(record)}"


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what sys.stderr is at the time: a progress bar puts itself there, to print lines above it. The same
    warning comes once."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            if (message := record.getMessage()) in self._told:
                return
            self._told.add(message)
        self.stream = sys.stderr
        super().emit(record)


def setup_logging(verbose: bool = False) -> None:
    """Log to stderr, one line a record: `lstmgenre: message`, with the level where it is a warning or worse."""
    handler = _Stderr()
    handler.setFormatter(_Plain())
    root = logging.getLogger("lstmgenre")
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no matter for tracebacks


def fail(message: str) -> None:
    """One line on stderr that says why the command ends."""
    print(f"lstmgenre: error: {visible(message)}", file=sys.stderr)


def emit(lines: list[str], data: Any = None, as_json: bool = False) -> None:
    """The result of a command on stdout: lines for a person, or JSON for a program."""
    if as_json:
        import json

        print(visible_json(json.dumps(data, indent=1, ensure_ascii=False)))
    else:
        print("\n".join(map(visible, lines)))


@contextmanager
def progress(description: str, total: int | None, count: Callable[[], int]) -> Iterator[None]:
    """Show how far the block has come, as `count()` tells, and the time left: a bar on a terminal, a log line now and
    then elsewhere.
    """
    done = threading.Event()
    show = _show_bar if sys.stderr.isatty() else _log_lines
    thread = threading.Thread(target=show, args=(description, total, count, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show_bar(description: str, total: int | None, count: Callable[[], int], done: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Results that a block prints meanwhile are for stdout, not for rich's console.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(visible(description), total=total, completed=count())
        while not done.wait(0.2):
            bar.update(task, completed=count())


def _log_lines(description: str, total: int | None, count: Callable[[], int], done: threading.Event) -> None:
    started, before = time.monotonic(), count()  # an earlier run may have done some
    of = f" of {total}" if total is not None else ""
    while not done.wait(_LOG_EVERY):
        seconds, now = time.monotonic() - started, count()
        left = ""
        if total is not None and before < now < total:
            left = f", about {_duration(seconds * (total - now) / (now - before))} left"
        logging.getLogger("lstmgenre").info("%s: %d%s after %s%s", description, now, of, _duration(seconds), left)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
