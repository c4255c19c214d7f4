"""Run one function over the shards of a job in several processes, with a log per shard as Kaldi's run.pl keeps it."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.files import open_log, own_directory
from lstmgenre.parallel import loky
from lstmgenre.parallel.engine import KILLED, Engine, Job, Lost, Submit
from lstmgenre.tables.opening import forbids_pipes, pipes_forbidden
from lstmgenre.text import OneLine, visible

logger = logging.getLogger(__name__)

ATTEMPTS = 3  # at a shard whose process is lost

_POLL = 0.05  # seconds between looks at the running jobs

Shard = TypeVar("Shard")
Result = TypeVar("Result")


@contextmanager
def this_process(directory: Path) -> Iterator[Submit]:
    """This very process, for a single job. What it logs goes to its own log only, as in processes elsewhere."""
    root = logging.getLogger("lstmgenre")

    def submit(function: Callable[..., Any], *args: Any) -> Job:
        job: Future[Any] = Future()
        handlers, root.handlers = root.handlers, []
        try:
            job.set_result(function(*args))
        finally:
            root.handlers = handlers
        return job

    yield submit


def run(
    function: Callable[[Shard], Result], shards: Sequence[Shard], jobs: int, log: str, engine: Engine = loky.processes
) -> list[Result]:
    """function(shard) for every shard, `jobs` at a time, each in a one-threaded process of its own.

    `log` is a path in which JOB stands for the shard's number from 1 (log/extract_scat.JOB.log); the lines that a shard
    logs go there. The first LstmGenreError of a shard ends the run and is raised here with its log's name. A shard
    whose process is lost, or that fails otherwise, is run again; after three times the others are run to their end, and
    DataError tells with what its log ended.
    """
    if jobs == 1 and engine is loky.processes:
        engine = this_process
    task = partial(_run_shard, function, os.getcwd(), forbids_pipes())
    folder, name = os.path.split(log)
    logs = [os.path.join(folder, name.replace("JOB", str(k + 1))) for k in range(len(shards))]
    results: dict[int, Result] = {}
    failures: Counter[int] = Counter()
    given_up: list[str] = []
    waiting, running = deque(range(len(shards))), dict[int, Job]()
    with engine(Path(log).parent) as submit:
        while waiting or running:
            while waiting and len(running) < jobs:
                k = waiting.popleft()
                running[k] = submit(task, shards[k], logs[k])
            finished = [k for k, job in running.items() if job.done()]
            for k in finished:
                outcome = _outcome(running.pop(k))
                if isinstance(outcome, LstmGenreError):
                    raise outcome
                if not isinstance(outcome, _Failure):
                    results[k] = outcome
                    continue
                failures[k] += 1
                if outcome.again and failures[k] < ATTEMPTS:
                    logger.warning("job %d of %d: %s: running it again", k + 1, len(shards), outcome)
                    waiting.append(k)
                else:
                    given_up.append(f"job {k + 1} of {len(shards)} failed time and again: {outcome}; {_tail(logs[k])}")
            if not finished:
                time.sleep(_POLL)
    if given_up:
        raise DataError(f"{' -- '.join(given_up)} -- the other jobs are done; to go on, give the same command again")
    return [results[k] for k in range(len(shards))]


class _Failure(Exception):
    """What may go better the next time; `again` is false where the engine has tried often enough."""

    again = True


def _outcome(job: Job) -> Any:
    try:
        return job.result()
    except Exception as error:
        failure = _Failure(str(error) if isinstance(error, Lost) else KILLED)
        failure.again = type(error).__name__ != "KilledWorker"  # dask raises that after four lost workers
        return failure


def _tail(log: str) -> str:
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"no log {log}"
    return f"{log} ends: {' / '.join(line for line in lines[-4:] if not line.startswith('#'))}"


def _run_shard(
    function: Callable[[Shard], Result], directory: str, no_pipes: bool, shard: Shard, log: str
) -> Result | LstmGenreError | _Failure:
    # Workers on other machines know neither where relative paths start nor that commands in tables are forbidden; one
    # that is told so by its own environment holds to that whatever we say.
    os.chdir(directory)
    logging.raiseExceptions = False  # a log on a full disk is no matter for tracebacks; the archive there will be
    try:
        # One thread each: workers that thread their FFTs and GEMMs fight for the same cores.
        title = f"{function.__module__}.{function.__qualname__}"
        with pipes_forbidden(no_pipes), shard_log(Path(log), title), threadpool_limits(1):
            return function(shard)
    except LstmGenreError as error:
        return type(error)(f"{error} (log: {log})")
    except Exception as error:
        return _Failure(f"{type(error).__name__}: {error}")


@contextmanager
def shard_log(path: Path, title: str) -> Iterator[None]:
    """Send what the block logs to `path`, between the head and tail lines of a run.pl log."""
    own_directory(path.parent)
    started = time.time()
    root = logging.getLogger("lstmgenre")
    thread = threading.get_ident()
    with open_log(path, "w") as stream:  # an earlier attempt that still writes has a file of its own then
        handler = logging.StreamHandler(stream)
        handler.setFormatter(OneLine("%(levelname)s (%(name)s) %(message)s"))
        handler.addFilter(lambda record: record.thread == thread)  # a dask worker may run two shards side by side
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        stream.write(
            f"# {title}\n# Running on {platform.node()}, process {os.getpid()}\n# Started at {time.ctime(started)}\n"
        )
        code: Any = 1
        try:
            yield
            code = 0
        except BaseException as error:
            stream.write("" if isinstance(error, LstmGenreError) else traceback.format_exc())
            stream.write(f"ERROR {type(error).__name__}: {visible(str(error))}\n")
            raise
        finally:
            seconds = time.time() - started
            root.removeHandler(handler)
            stream.write(f"# Accounting: time={seconds:.0f} threads=1\n")
            stream.write(f"# Ended (code {code}) at {time.ctime()}, elapsed time {seconds:.0f} seconds\n")
