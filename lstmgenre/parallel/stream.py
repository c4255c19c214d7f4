"""Items through processes that stay, and keep what they have loaded: results come one by one, in the items' order.

The processes are copies of one that has imported what they need (multiprocessing's forkserver), so that ten of them
import torch once, and hold it once.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits

from lstmgenre.parallel.engine import KILLED, Lost, end_with, without_interrupts

logger = logging.getLogger(__name__)

_AHEAD = 64  # items for each process that may be done before an earlier one is: what memory holds
_LOSSES = 2  # of processes at one item

_copies = multiprocessing.get_context("forkserver")

Item = TypeVar("Item")
Result = TypeVar("Result")


def begin_imports(*modules: str) -> None:
    """Start the process that will be copied, which takes as long as torch's import: whoever calls this goes on."""
    _copies.set_forkserver_preload(["lstmgenre.__main__", __name__, *modules])
    with without_interrupts():
        forkserver.ensure_running()


def stream(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result | Lost]:
    """function(item) for every item, `jobs` at a time, each in a one-threaded process of this machine.

    What `function` logs is logged here. An exception of it ends the stream. An item at which two processes are lost
    gives Lost.
    """
    numbered, again = enumerate(items), deque[tuple[int, Item]]()
    done: dict[int, Result | Lost] = {}
    losses: Counter[int] = Counter()
    running: dict[Any, tuple[_Worker, tuple[int, Item]]] = {}
    idle, all_of_them = deque[_Worker](), list[_Worker]()
    begun = given = 0
    try:
        while True:
            while len(running) < jobs and (again or begun < given + _AHEAD * jobs):
                entry = again.popleft() if again else next(numbered, None)
                if entry is None:
                    break
                begun = max(begun, entry[0] + 1)
                if not idle:
                    idle.append(_begin(function))
                    all_of_them.append(idle[0])
                worker = idle.popleft()
                running[worker.pipe] = worker, entry
                with suppress(OSError):  # it is dead, as will be found
                    worker.pipe.send(entry[1])
            if not running:
                return
            for pipe in connection.wait(list(running)):
                worker, entry = running.pop(pipe)
                k = entry[0]
                try:
                    result, messages = worker.pipe.recv()
                except (EOFError, OSError):
                    _end(worker)
                    all_of_them.remove(worker)
                    losses[k] += 1
                    if losses[k] < _LOSSES:
                        again.append(entry)
                    else:
                        done[k] = Lost(KILLED)
                    continue
                for level, message in messages:
                    logger.log(level, "%s", message)
                if isinstance(result, Exception):
                    raise result
                done[k] = result
                idle.append(worker)
            while given in done:
                yield done.pop(given)
                given += 1
    finally:
        for worker in all_of_them:
            _end(worker)


class _Worker(NamedTuple):
    process: BaseProcess
    pipe: Any


def _begin(function: Callable[[Any], Any]) -> _Worker:
    ours, its = _copies.Pipe()
    process = _copies.Process(target=_serve, args=(its, function, os.getpid()), daemon=True)
    with without_interrupts():
        process.start()
    its.close()  # else its end would not be the end of the pipe
    return _Worker(process, ours)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.pipe.close()


def _serve(pipe: Any, function: Callable[[Any], Any], starter: int) -> None:
    end_with(starter)
    os.environ["OMP_NUM_THREADS"] = "1"  # of libraries that are still to come
    threadpool_limits(1)
    with suppress(EOFError):
        while True:
            pipe.send(_call(function, pipe.recv()))


def _call(function: Callable[[Any], Any], item: Any) -> tuple[Any, list[tuple[int, str]]]:
    """The result, or what was raised, and what was logged meanwhile."""
    heard: list[tuple[int, str]] = []
    root = logging.getLogger("lstmgenre")
    root.handlers = [_Listener(heard)]
    try:
        return function(item), heard
    except Exception as error:
        return error, heard


class _Listener(logging.Handler):
    def __init__(self, heard: list[tuple[int, str]]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append((record.levelno, record.getMessage()))
