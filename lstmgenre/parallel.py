"""Run one function over the shards of a job in several processes, with a log per shard as Kaldi's run.pl keeps it.

Where the processes are is for the engine to say: `loky` on this machine, `dask` on a cluster that runs already, `slurm`
by submitit. Shards, logs and results are the same; elsewhere the files must have the same paths as here.
"""

from __future__ import annotations

import io
import logging
import math
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib.externals.loky import ProcessPoolExecutor
from threadpoolctl import threadpool_limits

from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.tables.streams import NO_PIPES

logger = logging.getLogger(__name__)

ATTEMPTS = 3  # at a shard whose process is lost

_POLL = 0.05  # seconds between looks at the running jobs
_DASK_SECONDS = 10  # for the scheduler to answer
_LOCAL_MINUTES = 24 * 60  # a job of submitit's local cluster may take
_SQUEUE_SECONDS = 10  # between looks at Slurm's queue
_RESULT_SECONDS = 10  # a result may take from one machine's file system to another's
_KILLED = "its process was killed, for want of memory perhaps"

Shard = TypeVar("Shard")
Result = TypeVar("Result")


class Job(Protocol):
    def done(self) -> bool: ...
    def result(self) -> Any: ...


Submit = Callable[..., Job]
Engine = Callable[[Path], AbstractContextManager[Submit]]  # given a directory for files of its own


@contextmanager
def loky(directory: Path) -> Iterator[Submit]:
    """Processes of this machine, one for each shard: if one is killed, no other is touched."""
    executors: list[ProcessPoolExecutor] = []

    def submit(function: Callable[..., Any], *args: Any) -> Job:
        executor = ProcessPoolExecutor(1, env={"OMP_NUM_THREADS": "1"}, initializer=_end_with, initargs=(os.getpid(),))
        executors.append(executor)
        with _without_interrupts():
            job = executor.submit(function, *args)
        job.add_done_callback(lambda _: executor.shutdown(wait=False))
        return job

    try:
        yield submit
    finally:
        for executor in executors:
            executor.shutdown(kill_workers=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that the block starts never see Ctrl-C, which a terminal sends to all: who starts them ends them."""
    resource_tracker.ensure_running()  # multiprocessing's own process: loky needs it, and its start unblocks Ctrl-C
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_with(starter: int) -> None:
    """Let this process end when that which began the run is gone, lest it write where the next run does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def watch() -> None:
        while not _has_ended(starter):
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)  # time to end the commands that it reads from
        time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _has_ended(process: int) -> bool:
    """Also if nobody has asked for its exit status yet."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:  # no /proc here
        return False


@contextmanager
def dask(directory: Path, scheduler: str) -> Iterator[Submit]:
    """The workers of a dask.distributed cluster, best of one thread each; they end what they have begun."""
    try:
        from distributed import Client
    except ImportError as error:
        raise DataError("the backend dask needs the package distributed: pip install 'lstmgenre[dask]'") from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of its troubles is told by us
    try:
        client = Client(scheduler, set_as_default=False, timeout=_DASK_SECONDS)
    except (OSError, ValueError) as error:
        raise DataError(f"{scheduler}: no dask scheduler answers: start one, or check the address") from error
    with client:
        logger.info("%s: a dask cluster of %d workers", scheduler, len(client.scheduler_info(n_workers=-1)["workers"]))
        jobs: list[Any] = []

        def submit(function: Callable[..., Any], *args: Any) -> Job:
            jobs.append(client.submit(function, *args, pure=False))
            return jobs[-1]

        try:
            yield submit
        finally:
            if client.status != "running":
                raise DataError(f"{scheduler}: the dask scheduler is lost: start it, and give the same command again")
            client.cancel(jobs)


@contextmanager
def slurm(directory: Path, cluster: str = "slurm") -> Iterator[Submit]:
    """Jobs of Slurm, which takes partition, memory, time and the like from SBATCH_* in the environment.

    submitit's `local` cluster, processes of this machine, is for trying it out.
    """
    try:
        import submitit

        executor = submitit.AutoExecutor(directory / "slurm", cluster=cluster)
    except ImportError as error:
        raise DataError("the backend slurm needs the package submitit: pip install 'lstmgenre[slurm]'") from error
    except (RuntimeError, ValueError) as error:
        raise DataError(f"no Slurm here: {error}") from error
    # Of Slurm no time is asked: a job that wants more than its partition allows waits for ever.
    limit = {"timeout_min": _LOCAL_MINUTES} if cluster == "local" else {"slurm_time": None}
    executor.update_parameters(name="lstmgenre", cpus_per_task=1, **limit)
    starter = os.getpid() if cluster == "local" else None
    queue = _Queue()
    jobs: list[Any] = []

    def submit(function: Callable[..., Any], *args: Any) -> Job:
        try:
            with _without_interrupts(), redirect_stderr(io.StringIO()):  # submitit prints what it raises
                jobs.append(executor.submit(_as_slurm_job, starter, function, *args))
        except RuntimeError as error:
            raise DataError(f"Slurm takes no job: {error}") from error
        return jobs[-1] if cluster == "local" else _Queued(jobs[-1], queue)

    try:
        yield submit
    finally:
        for job in jobs:
            if not job.paths.result_pickle.exists():
                job.cancel(check=False)


def _as_slurm_job(starter: int | None, function: Callable[..., Any], *args: Any) -> Any:
    """Run a shard so that it ends when Slurm, or on this machine the end of its starter, says so.

    submitit would not hear SIGTERM, which has already ended the commands that the shard reads from, and would have
    Slurm queue the job again when its time is up, however often that was.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    if starter is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    else:
        _end_with(starter)
    return function(*args)


class _Queue:
    """The jobs that Slurm has, as squeue tells: sacct, which submitit asks, is silent where no accounts are kept."""

    def __init__(self) -> None:
        self._looked = -math.inf
        self._jobs: set[str] | None = None

    def has(self, job: str) -> bool:
        """As far as can be told: a controller that does not answer has all of them."""
        if time.monotonic() - self._looked > _SQUEUE_SECONDS:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
            command = ["squeue", "--noheader", "--format=%i", f"--user={os.getuid()}"]
            told = subprocess.run(command, capture_output=True, text=True, env=environment)
            self._jobs = None if told.returncode else set(told.stdout.split())
            self._looked = time.monotonic()
        return self._jobs is None or job in self._jobs


class _Queued:
    """A job of Slurm's. It is lost if it has left the queue a while ago, and no result has come."""

    def __init__(self, job: Any, queue: _Queue) -> None:
        self._job, self._queue = job, queue
        self._left: float | None = None

    def done(self) -> bool:
        if self._job.paths.result_pickle.exists():
            return True
        if self._queue.has(self._job.job_id):
            self._left = None
            return False
        self._left = self._left or time.monotonic()
        return time.monotonic() - self._left > _RESULT_SECONDS

    def result(self) -> Any:
        if not self._job.paths.result_pickle.exists():
            told = re.findall(r"slurmstepd.*?error: (.*)", self._job.stderr() or "")
            raise _Lost(f"Slurm ended it: {told[-1].strip('* ')}" if told else _KILLED)
        return self._job.result()


class _Lost(Exception):
    """Why a job came to no end."""


@contextmanager
def _here(directory: Path) -> Iterator[Submit]:
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
    function: Callable[[Shard], Result], shards: Sequence[Shard], jobs: int, log: str, engine: Engine = loky
) -> list[Result]:
    """function(shard) for every shard, `jobs` at a time, each in a one-threaded process of its own.

    `log` is a path in which JOB stands for the shard's number from 1 (log/extract_scat.JOB.log); the lines that a shard
    logs go there. The first LstmGenreError of a shard ends the run and is raised here with its log's name. A shard
    whose process is lost, or that fails otherwise, is run again; after three times the others are run to their end, and
    DataError tells with what its log ended.
    """
    if jobs == 1 and engine is loky:
        engine = _here
    task = partial(_run_shard, function, os.getcwd(), os.environ.get(NO_PIPES, ""))
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
        failure = _Failure(str(error) if isinstance(error, _Lost) else _KILLED)
        failure.again = type(error).__name__ != "KilledWorker"  # dask raises that after four lost workers
        return failure


def _tail(log: str) -> str:
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"no log {log}"
    return f"{log} ends: {' / '.join(line for line in lines[-4:] if not line.startswith('#'))}"


def _run_shard(
    function: Callable[[Shard], Result], directory: str, no_pipes: str, shard: Shard, log: str
) -> Result | LstmGenreError | _Failure:
    # Workers on other machines know neither where relative paths start nor that commands in tables are forbidden.
    os.chdir(directory)
    os.environ[NO_PIPES] = no_pipes
    logging.raiseExceptions = False  # a log on a full disk is no matter for tracebacks; the archive there will be
    try:
        # One thread each: workers that thread their FFTs and GEMMs fight for the same cores.
        with shard_log(Path(log), f"{function.__module__}.{function.__qualname__}"), threadpool_limits(1):
            return function(shard)
    except LstmGenreError as error:
        return type(error)(f"{error} (log: {log})")
    except Exception as error:
        return _Failure(f"{type(error).__name__}: {error}")


@contextmanager
def shard_log(path: Path, title: str) -> Iterator[None]:
    """Send what the block logs to `path`, between the head and tail lines of a run.pl log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    root = logging.getLogger("lstmgenre")
    thread = threading.get_ident()
    path.unlink(missing_ok=True)  # an earlier attempt that still writes has a file of its own then
    with path.open("w", encoding="utf-8") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s (%(name)s) %(message)s"))
        handler.addFilter(lambda record: record.thread == thread)  # a dask worker may run two shards side by side
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
            stream.write("" if isinstance(error, LstmGenreError) else traceback.format_exc())
            stream.write(f"ERROR {type(error).__name__}: {error}\n")
            raise
        finally:
            seconds = time.time() - started
            root.removeHandler(handler)
            stream.write(f"# Accounting: time={seconds:.0f} threads=1\n")
            stream.write(f"# Ended (code {code}) at {time.ctime()}, elapsed time {seconds:.0f} seconds\n")
