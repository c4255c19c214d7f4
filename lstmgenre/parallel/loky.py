"""The engine of one machine."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from lstmgenre.parallel.engine import Job, Submit, end_with, without_interrupts


@contextmanager
def processes(directory: Path) -> Iterator[Submit]:
    """Processes of this machine, one for each shard: if one is killed, no other is touched."""
    executors: list[ProcessPoolExecutor] = []

    def submit(function: Callable[..., Any], *args: Any) -> Job:
        executor = ProcessPoolExecutor(
            1, env={"OMP_NUM_THREADS": "1"}, initializer=_begin, initargs=(os.getpid(), gc.get_threshold())
        )
        executors.append(executor)
        with without_interrupts():
            job = executor.submit(function, *args)
        job.add_done_callback(lambda _: executor.shutdown(wait=False))
        return job

    try:
        yield submit
    finally:
        for executor in executors:
            executor.shutdown(kill_workers=True)


def _begin(starter: int, garbage: tuple[int, int, int]) -> None:
    gc.set_threshold(*garbage)
    end_with(starter)
