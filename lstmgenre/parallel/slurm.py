"""The engine of Slurm, by submitit."""

from __future__ import annotations

import io
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lstmgenre.errors import DataError
from lstmgenre.files import own_directory
from lstmgenre.parallel.engine import KILLED, Job, Lost, Submit, end_with, without_interrupts

_LOCAL_MINUTES = 24 * 60  # a job of submitit's local cluster may take
_SQUEUE_SECONDS = 10  # between looks at Slurm's queue
_RESULT_SECONDS = 10  # a result may take from one machine's file system to another's


@contextmanager
def jobs(directory: Path, cluster: str = "slurm") -> Iterator[Submit]:
    """Jobs of Slurm, which takes partition, memory, time and the like from SBATCH_* in the environment.

    submitit's `local` cluster, processes of this machine, is for trying it out. Jobs and results are pickles, which run
    code: they lie in a directory that is made for them in `directory`, in which nobody else can write.
    """
    try:
        import submitit
    except ImportError as error:
        raise DataError("the backend slurm needs the package submitit: pip install 'lstmgenre[slurm]'") from error
    with TemporaryDirectory(dir=own_directory(directory), prefix="slurm.", ignore_cleanup_errors=True) as private:
        yield from _jobs(submitit, Path(private), cluster)


def _jobs(submitit: Any, directory: Path, cluster: str) -> Iterator[Submit]:
    try:
        executor = submitit.AutoExecutor(directory, cluster=cluster)
    except (RuntimeError, ValueError) as error:
        raise DataError(f"no Slurm here: {error}") from error
    # Of Slurm no time is asked: a job that wants more than its partition allows waits for ever.
    limit = {"timeout_min": _LOCAL_MINUTES} if cluster == "local" else {"slurm_time": None}
    executor.update_parameters(name="lstmgenre", cpus_per_task=1, **limit)
    starter = os.getpid() if cluster == "local" else None
    queue = _Queue()
    submitted: list[Any] = []

    def submit(function: Callable[..., Any], *args: Any) -> Job:
        try:
            with without_interrupts(), redirect_stderr(io.StringIO()):  # submitit prints what it raises
                submitted.append(executor.submit(_as_slurm_job, starter, function, *args))
        except RuntimeError as error:
            raise DataError(f"Slurm takes no job: {error}") from error
        return submitted[-1] if cluster == "local" else _Queued(submitted[-1], queue)

    try:
        yield submit
    finally:
        for job in submitted:
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
        end_with(starter)
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
            raise Lost(f"Slurm ended it: {told[-1].strip('* ')}" if told else KILLED)
        return self._job.result()
