"""Shards in processes of their own, on every engine: results, a log each, user errors, and workers that are lost."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import distributed
import pytest
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from lstmgenre.cli.app import app
from lstmgenre.errors import DataError
from lstmgenre.parallel import dask, loky, slurm
from lstmgenre.parallel import engine as engines
from lstmgenre.parallel.run import ATTEMPTS, run
from lstmgenre.scattering import scat_json
from lstmgenre.tables.opening import NO_PIPES
from tests import shards
from tests.banks import SMALL

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("dask")]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a dask scheduler with two workers, each a process that is started again when it dies."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    commands = [
        ["dask_scheduler", "--port", "0"],
        ["dask_worker", "--nworkers", "2", "--nthreads", "1", "--local-directory", str(folder)],
    ]
    processes = []
    try:
        for name, *options in commands:
            with open(folder / f"{name}.log", "w") as log:
                line = [sys.executable, "-m", f"distributed.cli.{name}", *options, *common]
                environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                processes.append(subprocess.Popen(line, cwd=folder, env=environment, stdout=log, stderr=log))
            while not (file.exists() and file.read_text().endswith("}")):  # it is there before it is whole
                assert processes[0].poll() is None, (folder / "dask_scheduler.log").read_text()
                time.sleep(0.05)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


@pytest.fixture(params=["loky", "dask", "slurm"])
def engine(request, monkeypatch, tmp_path):
    """Each engine, run from tmp_path."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    if request.param == "dask":
        scheduler = request.getfixturevalue("scheduler")
        with distributed.Client(scheduler, set_as_default=False) as client:
            # One alone would have all shards of a test, and be lost with all of them.
            client.wait_for_workers(2, timeout=60)
        return partial(dask.workers, scheduler=scheduler)
    return loky.processes if request.param == "loky" else partial(slurm.jobs, cluster="local")


def test_every_shard_gives_its_result_and_its_log(engine):
    assert run(shards.square, [3, 1, 2], 2, "log/square.JOB.log", engine) == [9, 1, 4]
    lines = Path("log/square.1.log").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert any(line.startswith("# Started at ") for line in lines)
    assert "INFO (lstmgenre.test) squaring 3" in lines
    assert not any("squaring 1" in line for line in lines)
    assert lines[-1].startswith("# Ended (code 0) at ")


def test_workers_know_where_paths_start_and_that_pipes_are_forbidden(engine, monkeypatch):
    monkeypatch.setenv(NO_PIPES, "1")
    assert run(shards.where, [1, 2], 2, "JOB.log", engine) == [(os.getcwd(), "1")] * 2


def test_an_error_of_the_user_ends_the_run_at_once_and_names_the_log(engine):
    with pytest.raises(DataError, match=r"^bad: is no good \(log: log/x\.1\.log\)$"):
        run(shards.refused, ["bad"], 2, "log/x.JOB.log", engine)
    assert Path("bad").read_text() == "."
    assert "# Ended (code 1) at " in Path("log/x.1.log").read_text()


def test_the_shard_of_a_lost_worker_is_run_again(engine):
    assert run(shards.killed, [("a", 0), ("b", 1), ("c", 0)], 2, "log/x.JOB.log", engine) == ["a", "b", "c"]
    assert Path("b").read_text() == ".."
    assert Path("log/x.2.log").read_text().splitlines()[-1].startswith("# Ended (code 0)")


@pytest.mark.parametrize("engine", ["loky", "dask"], indirect=True)
def test_a_shard_that_is_lost_each_time_is_told_when_the_others_are_done(engine):
    with pytest.raises(DataError) as error:
        run(shards.killed, [("a", 99), ("b", 0), ("c", 0)], 2, "log/x.JOB.log", engine)
    assert "job 1 of 3" in str(error.value)
    assert "log/x.1.log ends: INFO (lstmgenre.test) trying a" in str(error.value)
    assert len(Path("a").read_text()) <= 4  # dask, not we, counts to four
    assert Path("b").exists()
    assert Path("c").exists()


def test_a_shard_that_fails_is_run_three_times(tmp_path):
    cases = [(str(tmp_path / name), times) for name, times in (("once", 1), ("always", 99), ("never", 0))]
    with pytest.raises(DataError, match=r"^job 2 of 3 .*MemoryError: no room for an array; .*2\.log ends: ") as error:
        run(shards.hungry, cases, 1, str(tmp_path / "JOB.log"))
    assert "job 1" not in str(error.value)
    assert [len(Path(name).read_text()) for name, _ in cases] == [2, ATTEMPTS, 1]


def test_workers_of_this_machine_are_other_processes_with_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    results = run(shards.who, range(4), 2, str(tmp_path / "JOB.log"))
    assert os.getpid() not in {pid for pid, _ in results}
    assert {threads for _, threads in results} == {1}


def test_workers_of_this_machine_never_see_ctrl_c(shell):
    # In a process where multiprocessing has not started anything before.
    run = "run(Path.read_text, [Path('/proc/self/status')], 2, 'JOB.log')"
    done = shell(
        f'{sys.executable} -c "from pathlib import Path; from lstmgenre.parallel.run import run; print(*{run})"'
    )
    (blocked,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked, 16) >> signal.SIGINT - 1 & 1


def test_workers_end_with_a_starter_that_nobody_waits_for(tmp_path):
    starter = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not engines.has_ended(starter.pid)
    starter.kill()
    while (
        os.waitid(os.P_PID, starter.pid, os.WEXITED | os.WNOWAIT) is None
    ):  # a zombie: it has ended and is still there
        time.sleep(0.01)
    assert engines.has_ended(starter.pid)
    starter.communicate()
    assert engines.has_ended(starter.pid)


class SlurmJob:
    """What submitit says of a job: its number, where its result will be, what it wrote on stderr."""

    def __init__(self, number, result):
        self.job_id, self.paths = number, SimpleNamespace(result_pickle=result)

    def stderr(self):
        return "slurmstepd-n1: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-11-24 DUE TO TIME LIMIT ***"

    def result(self):
        return "done"


def test_a_slurm_job_is_lost_when_it_has_left_the_queue_without_a_result(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\n[ -z "$SQUEUE_PARTITION" ] && cat queue\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    monkeypatch.setattr(slurm, "_SQUEUE_SECONDS", -1)
    monkeypatch.setattr(slurm, "_RESULT_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    queue = slurm._Queue()
    ended, lost = (slurm._Queued(SlurmJob(k, tmp_path / f"{k}.pkl"), queue) for k in ("6", "7"))
    assert not lost.done()  # squeue fails, for want of its file: nothing is known
    (tmp_path / "queue").write_text("6\n7\n")
    assert not lost.done()
    (tmp_path / "queue").write_text("6\n")
    lost.done()
    time.sleep(0.01)
    assert lost.done()
    with pytest.raises(engines.Lost, match=r"Slurm ended it: STEP 7\.0 .* DUE TO TIME LIMIT$"):
        lost.result()
    assert not ended.done()
    (tmp_path / "6.pkl").touch()
    assert ended.done()
    assert ended.result() == "done"


def test_a_slurm_job_ends_at_sigterm_and_not_at_the_signal_before():
    code = (
        "import os, signal; from lstmgenre.parallel.slurm import _as_slurm_job\n"
        "def job():\n    os.kill(os.getpid(), signal.SIGUSR2); print('on', flush=True)\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n    except Exception: print('no')\n"
        "_as_slurm_job(None, job)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "on\n"), done.stderr


def test_a_log_is_named_by_its_job_and_its_folder_by_nothing(tmp_path):
    assert run(shards.square, [2], 1, str(tmp_path / "JOBS" / "x.JOB.log")) == [4]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.log")] == ["JOBS/x.1.log"]


def test_a_single_job_stays_in_this_process(tmp_path):
    with threadpool_limits(2):
        assert run(shards.who, [0], 1, str(tmp_path / "JOB.log")) == [(os.getpid(), 1)]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("--backend dask", 2, "needs --scheduler"),
        ("--scheduler tcp://127.0.0.1:1", 2, "is for --backend dask"),
        ("--backend slurm", 1, "no Slurm here"),
        ("--backend dask --scheduler nonsense://", 2, "needs --scheduler tcp://HOST:PORT"),
        ("--backend dask --scheduler tcp://127.0.0.1:1", 1, "no dask scheduler answers"),
    ],
)
def test_engines_that_are_not_there(data, options, status, said, monkeypatch):
    monkeypatch.setattr(dask, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setenv("PATH", str(data.path))  # this machine may have a Slurm
    done = CliRunner().invoke(app, ["extract-scat", str(data.path), *options.split()])
    said_by = str(done.exception) if isinstance(done.exception, DataError) else done.stderr
    assert done.exit_code == status
    assert said in " ".join(said_by.split())


EXTRACT = "lstmgenre extract-scat {} --bank bank/scat.json --nj 2"


def on_dask(scheduler):
    return f"{EXTRACT.format('data')} --backend dask --scheduler {scheduler}"


def extract_here(data, shell, first):
    """Extract in here, on this machine, and not in data; a shell runs `first` before it reads one of the tracks."""
    scat_json.write(data.path.parent / "bank", SMALL)
    data.wav_scp["a1-t4"] = f"{first}; cat {data.wav_scp['a1-t4']} |"
    data.write()
    done = shell(f"cp -r data here && {EXTRACT.format('here')}")
    assert done.returncode == 0, done.stderr


def assert_the_same_features(tmp_path):
    """In data, made on dask, as in here, of the same audio."""
    for name in ("utt2num_frames", "utt2dur", "data/scat.1.ark", "data/scat.2.ark", "data/scat.json"):
        assert (tmp_path / "data" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name
    assert (tmp_path / "data/feats.scp").read_text() == (tmp_path / "here/feats.scp").read_text().replace(
        f"{tmp_path}/here/", f"{tmp_path}/data/"
    )
    assert {p.name for p in (tmp_path / "data/data").iterdir()} == {p.name for p in (tmp_path / "here/data").iterdir()}


def test_extract_scat_writes_the_same_on_dask_though_a_worker_is_killed(data, shell, scheduler, tmp_path):
    (tmp_path / "killed").touch()
    extract_here(data, shell, "[ -e killed ] || { touch killed; kill -9 $PPID; }")
    (tmp_path / "killed").unlink()
    done = shell(on_dask(scheduler))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed").exists()
    assert_the_same_features(tmp_path)


def test_ctrl_c_on_dask_is_one_line_and_the_next_run_goes_on(data, shell, scheduler, tmp_path, environment):
    extract_here(data, shell, "touch reached; while [ -e gate ]; do sleep 0.05; done")
    shell("rm reached; touch gate")
    command = on_dask(scheduler).split()
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    while not (tmp_path / "reached").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    _, last = said.decode().splitlines()  # the first is of the cluster
    assert last == f"lstmgenre: error: interrupted; to go on: {on_dask(scheduler)}"
    assert not (tmp_path / "data/feats.scp").exists()
    (tmp_path / "gate").unlink()  # the worker ends what it has begun, and the next run waits for it
    done = shell(on_dask(scheduler))
    assert done.returncode == 0, done.stderr
    assert_the_same_features(tmp_path)
