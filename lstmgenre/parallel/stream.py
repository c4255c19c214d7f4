"""Items through processes that stay, and keep what they have loaded: results come one by one, in the items' order."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any, TypeVar

from joblib.externals.loky import ProcessPoolExecutor

from lstmgenre.parallel.engine import KILLED, Lost, end_with, without_interrupts

logger = logging.getLogger(__name__)

_AHEAD = 64  # items for each process that may be done before an earlier one is: what memory holds
_LOSSES = 2  # of processes at one item

Item = TypeVar("Item")
Result = TypeVar("Result")


def stream(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result | Lost]:
    """function(item) for every item, `jobs` at a time, each in a one-threaded process of this machine.

    What `function` logs is logged here. An exception of it ends the stream. An item at which two processes are lost
    gives Lost.
    """
    numbered, again = enumerate(items), deque[tuple[int, Item]]()
    done: dict[int, Result | Lost] = {}
    losses: Counter[int] = Counter()
    running: dict[Future[Any], tuple[ProcessPoolExecutor, tuple[int, Item]]] = {}
    idle, all_of_them = deque[ProcessPoolExecutor](), list[ProcessPoolExecutor]()
    begun = given = 0
    try:
        while True:
            while len(running) < jobs and (again or begun < given + _AHEAD * jobs):
                entry = again.popleft() if again else next(numbered, None)
                if entry is None:
                    break
                begun = max(begun, entry[0] + 1)
                if not idle:
                    idle.append(_process())
                    all_of_them.append(idle[0])
                process = idle.popleft()
                with without_interrupts():
                    running[process.submit(_call, function, entry[1])] = process, entry
            if not running:
                return
            for job in wait(running, return_when=FIRST_COMPLETED).done:
                process, entry = running.pop(job)
                k = entry[0]
                try:
                    done[k], messages = job.result()
                    idle.append(process)
                    for level, message in messages:
                        logger.log(level, "%s", message)
                except BrokenExecutor:
                    process.shutdown(wait=False, kill_workers=True)
                    all_of_them.remove(process)
                    losses[k] += 1
                    if losses[k] < _LOSSES:
                        again.append(entry)
                    else:
                        done[k] = Lost(KILLED)
            while given in done:
                yield done.pop(given)
                given += 1
    finally:
        for process in all_of_them:
            process.shutdown(wait=False, kill_workers=True)


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, env={"OMP_NUM_THREADS": "1"}, initializer=end_with, initargs=(os.getpid(),))


def _call(function: Callable[[Item], Result], item: Item) -> tuple[Result, list[tuple[int, str]]]:
    """The result, and what was logged meanwhile."""
    heard: list[tuple[int, str]] = []
    root = logging.getLogger("lstmgenre")
    root.handlers = [_Listener(heard)]
    return function(item), heard


class _Listener(logging.Handler):
    def __init__(self, heard: list[tuple[int, str]]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append((record.levelno, record.getMessage()))
