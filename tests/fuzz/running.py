"""Inputs go to a parser one by one, each with limited time and all with limited memory."""

from __future__ import annotations

import resource
import signal
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from lstmgenre.errors import LstmGenreError
from tests.fuzz.targets import Target

SECONDS = 10  # for one input, on a busy machine
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files cost no time."""
ROOM = 1 << 30  # bytes more than what is taken before


class Failed(AssertionError):
    """An input over which a parser broke down; `content` is it."""

    def __init__(self, name: str, number: int, content: bytes, reason: str) -> None:
        super().__init__(f"{name}: input {number}: {reason}: {content[:300]!r}")
        self.content = content


class TooSlow(BaseException):  # which no parser catches
    pass


def run(
    target: Target, folder: Path, inputs: int, seed: int, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Try so many inputs; returns how many were taken. Raises Failed over the first that breaks the parser."""
    rng = Random(f"{seed} {target.name}")
    goldens = target.goldens()
    taken = 0
    with _limited():
        for number in range(inputs):
            content = target.damage(rng.choice(goldens), rng, goldens)
            try:
                with _timed(SECONDS):
                    taken += _try(target, content, folder)
            except (Exception, TooSlow) as error:
                raise Failed(target.name, number, content, f"{type(error).__name__}: {error}") from error
            progress(number)
    return taken


def _try(target: Target, content: bytes, folder: Path) -> bool:
    try:
        target.parse(content, folder)
    except LstmGenreError as error:
        if not 0 < len(str(error)) < 20_000:
            raise ValueError(f"a message that nobody reads, of {len(str(error))} characters") from error
        return False
    return True


@contextmanager
def _limited() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a person would see them
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _timed(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def digest(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
