"""Run one function over the shards of a job in several processes, with a log per shard as Kaldi's run.pl keeps it."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import joblib
from threadpoolctl import threadpool_limits

from lstmgenre.errors import LstmGenreError

Shard = TypeVar("Shard")
Result = TypeVar("Result")


def run(function: Callable[[Shard], Result], shards: Sequence[Shard], jobs: int, log: str) -> Iterator[Result]:
    """Yield function(shard) for every shard as it comes, `jobs` at a time, each in a one-threaded process of its own.

    `log` is a path in which JOB stands for the shard's number from 1 (log/extract_scat.JOB.log); the lines that a shard
    logs go there. The first LstmGenreError of a shard stops the run and is raised here with its log's name.
    """
    tasks = (
        joblib.delayed(_run_shard)(function, shard, log.replace("JOB", str(k))) for k, shard in enumerate(shards, 1)
    )
    with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        yield from joblib.Parallel(return_as="generator_unordered")(tasks)


def _run_shard(function: Callable[[Shard], Result], shard: Shard, log: str) -> Result:
    # One thread each: workers that thread their FFTs and GEMMs fight for the same cores. (joblib sees to that in its
    # processes, but runs a single job in this one.)
    with shard_log(Path(log), f"{function.__module__}.{function.__qualname__}"), threadpool_limits(1):
        try:
            return function(shard)
        except LstmGenreError as error:
            raise type(error)(f"{error} (log: {log})") from error


@contextmanager
def shard_log(path: Path, title: str) -> Iterator[None]:
    """Send what the block logs to `path`, between the head and tail lines of a run.pl log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    root = logging.getLogger("lstmgenre")
    with path.open("w", encoding="utf-8") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s (%(name)s) %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        stream.write(
            f"# {title}\n# Running on {platform.node()}, process {os.getpid()}\n# Started at {time.ctime(started)}\n"
        )
        stream.flush()
        code: Any = 1
        try:
            yield
            code = 0
        except BaseException as error:
            stream.write(f"ERROR {type(error).__name__}: {error}\n")
            raise
        finally:
            seconds = time.time() - started
            root.removeHandler(handler)
            stream.write(f"# Accounting: time={seconds:.0f} threads=1\n")
            stream.write(f"# Ended (code {code}) at {time.ctime()}, elapsed time {seconds:.0f} seconds\n")
