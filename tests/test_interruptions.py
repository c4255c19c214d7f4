"""Commands that are killed, interrupted, or that run out of disk, input or memory: what they leave, what they say.

They run in processes forked from one that has loaded everything, so that many can be killed in little time.
"""

import contextlib
import fcntl
import multiprocessing
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.__main__ import main
from lstmgenre.datadir import DataDir
from lstmgenre.nnet1 import init
from lstmgenre.scattering import scat_json
from lstmgenre.tables import TableWriter, read_map, write_map
from tests.banks import SMALL

pytestmark = pytest.mark.system

EXTRACT = "extract-scat data --bank bank/scat.json"
FORWARD = "forward exp/net scp:feats/feats.scp ark,scp:out/post.ark,out/post.scp"
POOL = "pool-segments scp:feats/post.scp ark,scp:out/seg.ark,out/seg.scp --fuse scp:feats/feats.scp"
TRAINING = {
    "dnn": "train-dnn feats exp/dnn --hidden 4 --minibatch-size 32 --max-iters 3",
    "lstm": "train-lstm feats exp/lstm --hidden 3 --cell-dim 4 --num-streams 2 --max-iters 3 --learn-rate 0.01",
}
DIM = 5

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "lstmgenre.cli",
        "lstmgenre.scattering.extract",
        "lstmgenre.training.trainer",
        "lstmgenre.parallel.table",
        __name__,
    ]
)


def _run(line, folder, file_size, memory, deadly_event, watched):
    os.setsid()
    os.chdir(folder)
    with open("stderr", "wb") as stream:
        os.dup2(stream.fileno(), sys.stderr.fileno())
    if file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY))
    if memory:
        address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (address_space + memory, address_space + memory))
    if watched:
        sys.addaudithook(_file_counter(deadly_event))
    sys.argv = ["lstmgenre", *shlex.split(line)]
    try:
        main()
    finally:
        if watched:
            Path("events").write_text(str(_events[0]))


_events = [0]


def _file_counter(deadly_event):
    """Count what this process does to files, and kill it just before the event of that number."""

    def count(event, _):
        if event.startswith(("open", "os.", "shutil.")):
            _events[0] += 1
            if _events[0] == deadly_event:
                os.kill(os.getpid(), signal.SIGKILL)

    return count


class Command:
    """A command line at work in a folder and a session of its own, where it gets so much memory beyond what it has."""

    def __init__(self, line, folder, file_size=0, memory=0, deadly_event=None, watched=False):
        self.folder = folder
        self.process = processes.Process(target=_run, args=(line, folder, file_size, memory, deadly_event, watched))
        self.process.start()

    def end(self):
        self.process.join(60)
        if self.process.is_alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.exitcode

    def wait_for(self, *patterns):
        """Until there is a file of each pattern."""
        deadline = time.monotonic() + 60
        while not all(any(self.folder.glob(pattern)) for pattern in patterns):
            assert self.process.is_alive(), self.stderr
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @property
    def stderr(self):
        return (self.folder / "stderr").read_text()

    @property
    def error(self):
        """The one line that says what went wrong."""
        assert "Traceback" not in self.stderr
        (line,) = [line for line in self.stderr.splitlines() if "error:" in line]
        return line


@pytest.fixture
def work(data, tmp_path):
    """data: audio; feats: easy features of 12 tracks, and posteriors; exp/net: a network; bank: a small one; out."""
    scat_json.write(tmp_path / "bank", SMALL)
    rng = np.random.default_rng(1)
    features = DataDir(tmp_path / "feats")
    features.path.mkdir()
    with TableWriter(f"ark,scp:{tmp_path}/feats/f.ark,{tmp_path}/feats/feats.scp") as table:
        for k in range(12):
            name = f"a{k % 6}-t{k:02}"
            features.utt2spk[name], features.utt2genre[name] = name[:2], f"g{k % 2}"
            table.write(name, rng.normal(size=(40, DIM)).astype(np.float32) + k % 2)
    features.feats = DataDir.read(features.path).feats
    features.write()
    with TableWriter(f"ark,scp:{tmp_path}/feats/post.ark,{tmp_path}/feats/post.scp") as table:
        for name in features.feats:
            table.write(name, rng.dirichlet(np.ones(3), size=40).astype(np.float32))
    (tmp_path / "out").mkdir()
    init.lstm(DIM, [3], [4], 2, 1, 0.1, 5.0).write(tmp_path / "exp/net/final.nnet")
    return tmp_path


def run(line, folder, **how):
    command = Command(line, folder, **how)
    command.status = command.end()
    return command


def contents(folder):
    """What a command has made, by name: all but the records of when and how often it ran."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for top in ("data", "out", "exp")
        for path in (folder / top).rglob("*")
        if path.is_file() and path.parent.name != "log"
    }


def unnamed(files):
    """Without the temporary files that a kill leaves: they have no name that anybody would read."""
    return {name: content for name, content in files.items() if not Path(name).name.startswith(".")}


def lay_out(work, folder):
    """The folder `work` again, at one and the same path: archives are named by theirs in scp files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work, folder, ignore=shutil.ignore_patterns("again", "stderr"))


@pytest.mark.parametrize(
    "line", [EXTRACT, FORWARD, POOL, *TRAINING.values()], ids=["extract", "forward", "pool", *TRAINING]
)
def test_a_command_killed_anywhere_ends_with_the_same_bytes_when_started_again(work, line):
    folder = work / "again"
    lay_out(work, folder)
    assert run(line, folder, watched=True).status == 0
    expected = contents(folder)
    events = int((folder / "events").read_text())
    chosen = [1, *random.Random(line).sample(range(2, events), 3), events]
    for event in chosen:
        lay_out(work, folder)
        assert run(line, folder, watched=True, deadly_event=event).status == -signal.SIGKILL
        again = run(line, folder)
        assert again.status == 0, again.stderr
        assert unnamed(contents(folder)) == expected, f"killed at file event {event} of {events}"


def a_command_that_waits(work, whole):
    """A pipe of `whole` that stops while the file gate exists: then `reached` appears, and `held` is locked."""
    return f"cd {work}; if [ -e gate ]; then exec 9>held; flock 9; : >reached; exec sleep 1000; fi; cat {whole} |"


def wait_until_all_are_gone(work, command):
    """No process of the command's session is left, nor one that its pipes have begun."""
    deadline = time.monotonic() + 60
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(command.process.pid, 0)
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with open(work / "held", "w") as held:
        while True:
            with contextlib.suppress(BlockingIOError):
                return fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert time.monotonic() < deadline
            time.sleep(0.01)


def let_one_track_wait(work, number):
    audio = DataDir.read(work / "data")
    name = audio.utterances[number]
    audio.wav_scp[name] = a_command_that_waits(work, audio.wav_scp[name])
    audio.write()


def let_posteriors_wait(work, number):
    lines = read_map(work / "feats/post.scp")
    name = sorted(lines)[number]
    archive, _, offset = lines[name].rpartition(":")
    Path(work, "posteriors").write_bytes(Path(archive).read_bytes()[int(offset) :])
    write_map(work / "feats/post.scp", lines | {name: a_command_that_waits(work, "posteriors")})


@pytest.mark.parametrize(
    ("line", "let_wait", "done"),
    [
        (f"{EXTRACT} --nj 2", let_one_track_wait, "data/data/scat.1.journal"),
        (f"{POOL} --nj 2", let_posteriors_wait, "out/seg.ark.shards/*.ark"),
    ],
    ids=["extract", "pool"],
)
def test_workers_end_with_their_killed_parent_and_the_next_run_ends_with_the_same_bytes(work, line, let_wait, done):
    let_wait(work, 3)
    folder = work / "again"
    lay_out(work, folder)
    assert run(line, folder).status == 0
    expected = contents(folder)
    lay_out(work, folder)
    (work / "gate").touch()
    command = Command(line, folder)
    command.wait_for("../reached", done)
    command.process.kill()
    assert command.end() == -signal.SIGKILL
    wait_until_all_are_gone(work, command)
    (work / "gate").unlink()
    assert run(line, folder).status == 0
    assert unnamed(contents(folder)) == expected


@pytest.mark.parametrize(
    ("line", "stop"),
    [
        (EXTRACT, signal.SIGINT),
        (f"{EXTRACT} --nj 2", signal.SIGINT),
        (f"{EXTRACT} --nj 2", signal.SIGTERM),
        (f"{EXTRACT} --nj 2 --backend slurm --scheduler local", signal.SIGINT),
        (FORWARD, signal.SIGINT),
        (f"{FORWARD} --nj 2", signal.SIGINT),
        (f"{POOL} --nj 2", signal.SIGINT),
    ],
)
def test_ctrl_c_ends_in_one_line_that_says_how_to_go_on(work, line, stop):
    let_one_track_wait(work, 3)
    features = DataDir.read(work / "feats")
    features.feats["a1-t01"] = a_command_that_waits(work, "nothing")
    features.write()
    (work / "gate").touch()
    command = Command(line, work)
    command.wait_for("reached")
    # A terminal sends Ctrl-C to every process; kill, and a scheduler, tell the one that they know.
    (os.killpg if stop is signal.SIGINT else os.kill)(command.process.pid, stop)
    assert command.end() == 128 + stop
    assert command.error == f"lstmgenre: error: interrupted; to go on: lstmgenre {line}"
    assert "--nj" not in line or command.stderr == f"{command.error}\n"
    wait_until_all_are_gone(work, command)
    assert not (work / "data/feats.scp").exists()
    left = {path.parent.name for path in (work / "out").rglob("*") if path.is_file()}
    assert left <= {"log", "post.ark.shards", "seg.ark.shards"}


def test_ctrl_c_while_commands_are_loading_is_one_line_too():
    interrupt = "lambda event, names: event == 'import' and names[0] == 'typer' and os.kill(os.getpid(), signal.SIGINT)"
    code = f"import os, signal, sys; sys.addaudithook({interrupt}); from lstmgenre.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "info-nnet", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "lstmgenre: error: interrupted; to go on: lstmgenre info-nnet x\n"


def test_ctrl_c_in_training_keeps_the_epochs_that_are_done(work):
    line = TRAINING["lstm"].replace("--max-iters 3", "--max-iters 1000 --scheduler decay")
    command = Command(line, work)
    command.wait_for("exp/lstm/log/iter03.tr.log")
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.end() == 128 + signal.SIGINT
    assert command.error == f"lstmgenre: error: interrupted; to go on: lstmgenre {line}"
    made = contents(work)
    assert made == unnamed(made)
    assert "exp/lstm/final.nnet" not in made


@pytest.mark.parametrize(
    ("line", "limit", "result"),
    [
        (EXTRACT, 10_000, "data/feats.scp"),
        (f"{EXTRACT} --nj 2", 10_000, "data/feats.scp"),
        (FORWARD, 2_000, "out/post.ark"),
        (TRAINING["dnn"], 600, "exp/dnn/final.nnet"),
    ],
)
def test_a_full_disk_is_one_line_and_the_next_run_makes_all(work, line, limit, result):
    folder = work / "again"
    lay_out(work, folder)
    assert run(line, folder).status == 0
    expected = contents(folder)
    lay_out(work, folder)
    failed = run(line, folder, file_size=limit)
    assert failed.status == 1
    assert "File too large" in failed.error  # what the kernel calls a quota; it says the like of a full disk
    assert not (folder / result).exists()
    assert run(line, folder).status == 0
    assert unnamed(contents(folder)) == expected


@pytest.mark.parametrize(
    "line", ["forward exp/net scp:big.scp ark,scp:out/post.ark,out/post.scp", TRAINING["lstm"]], ids=["forward", "lstm"]
)
def test_too_little_memory_is_one_line_and_leaves_no_output(work, line):
    # One matrix that is too much, and room for all that is not: what a library does without memory is its own affair.
    with TableWriter(f"ark,scp:{work}/big.ark,{work}/big.scp") as table:
        table.write("big", np.zeros((8_000_000, DIM), np.float32))
    feats = read_map(work / "feats/feats.scp")
    write_map(work / "feats/feats.scp", {**feats, max(feats): read_map(work / "big.scp")["big"]})
    failed = run(line, work, memory=120_000_000)
    assert failed.status == 1
    assert "memory" in failed.error
    assert not list((work / "out").glob("*.*"))
    assert not (work / "exp/lstm/final.nnet").exists()


def test_a_directory_that_cannot_be_made_is_one_line(work):
    (work / "data/data").write_text("a file where a directory is wanted")
    refused = run(EXTRACT, work)
    assert refused.status == 1
    assert "data/data" in refused.error


def test_audio_that_vanishes_is_one_line_and_fails_the_run(work):
    audio = DataDir.read(work / "data")
    first, last = audio.utterances[0], audio.utterances[-1]
    audio.wav_scp[first] = f"rm {audio.wav_scp[last]}; cat {audio.wav_scp[first]} |"
    audio.write()
    failed = run(EXTRACT, work)
    assert failed.status == 1
    assert "1 of 6 utterances failed" in failed.error
    assert Path(audio.wav_scp[last]).name in failed.stderr
    assert not (work / "data/feats.scp").exists()


def test_features_that_vanish_are_one_line_and_leave_no_output(work):
    features = DataDir.read(work / "feats")
    archive, _, offset = features.feats["a0-t00"].rpartition(":")
    features.feats["a0-t00"] = f"cp {archive} copy; rm {archive}; tail -c +{int(offset) + 1} copy |"
    features.write()
    failed = run(FORWARD, work)
    assert failed.status == 1
    assert archive in failed.error
    assert not [path for path in (work / "out").glob("*.*") if path.is_file()]


def test_a_worker_that_the_kernel_kills_each_time_is_one_line_and_the_rest_is_kept(work):
    line = f"{EXTRACT} --nj 2"
    audio = DataDir.read(work / "data")
    hungry = audio.utterances[3]  # the second of job 2; the pipe's parent is the worker
    audio.wav_scp[hungry] = f"[ -e {work}/memory ] || kill -9 $PPID; cat {audio.wav_scp[hungry]} |"
    audio.write()
    folder = work / "again"
    lay_out(work, folder)
    (work / "memory").touch()
    assert run(line, folder).status == 0
    expected = contents(folder)
    lay_out(work, folder)
    (work / "memory").unlink()
    failed = run(line, folder)
    assert failed.status == 1
    assert "job 2 of 2" in failed.error
    assert "extract_scat.2.log ends: INFO (lstmgenre.scattering.extract) 1 of 3 utterances are done" in failed.error
    (work / "memory").touch()
    assert run(line, folder).status == 0
    assert unnamed(contents(folder)) == expected
    logs = "".join(path.read_text() for path in (folder / "data/log").glob("extract_scat.?.log"))
    assert [name for name in audio.utterances if f"{name}:" in logs] == [hungry, audio.utterances[5]]
