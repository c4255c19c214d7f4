"""Training under torchrun, with real processes on this machine: the model of one process, whoever shares the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmgenre.errors import DataError, ModelError
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables import TableWriter
from lstmgenre.training import ranks

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
# 7 utterances for 4 streams, of such lengths that the streams of one rank run dry long before the others.
LENGTHS = {"a-1": 30, "a-2": 45, "b-1": 20, "b-2": 150, "c-1": 33, "c-2": 64, "d-1": 21}
LINES = {
    "lstm": "train-lstm data exp --cv-dir data --hidden 4 --cell-dim 5 --num-streams 4 --batch-size 10 --momentum 0.8 "
    "--learn-rate 0.01 --param-scale 0.5 --scheduler decay --max-iters 12",
    "dnn": "train-dnn data exp --cv-dir data --hidden 5 --minibatch-size 33 --momentum 0.8 --l1-penalty 0.0001 "
    "--l2-penalty 0.001 --learn-rate 0.05 --scheduler decay --max-iters 3",
}
COUNTED = "train_frames", "train_accuracy", "cv_frames", "cv_accuracy"


@pytest.fixture
def start(tmp_path):
    """Start a command in a directory of tmp_path with a data directory in it, in one process or in two."""
    rng = np.random.default_rng(1)
    data = tmp_path / "data"
    data.mkdir()
    with TableWriter(f"ark,scp:{data}/feats.ark,{data}/feats.scp") as writer:
        for utterance, length in LENGTHS.items():
            writer.write(utterance, rng.standard_normal((length, 7)).astype(np.float32) + len(utterance))
    lines = {"utt2spk": lambda key: key[0], "utt2genre": lambda key: "rock" if key < "b-2" else "jazz"}
    for name, value in lines.items():
        (data / name).write_text("".join(f"{key} {value(key)}\n" for key in LENGTHS))

    def run(line: str, directory: str, launcher: list[str]) -> subprocess.Popen[str]:
        (tmp_path / directory).mkdir(exist_ok=True)
        line = line.replace(" data", f" {data}")
        return subprocess.Popen(
            [sys.executable, *launcher, "-m", "lstmgenre", *line.split()],
            cwd=tmp_path / directory,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def ours(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("lstmgenre: ")]


def end(process: subprocess.Popen[str]) -> str:
    """Wait for it to end well; what it logged."""
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0, log
    return log


def assert_same_training(one: Path, two: Path) -> None:
    own, other, initial = (
        Nnet.read(path).state_dict() for path in (one / "final.nnet", two / "final.nnet", one / "nnet.init")
    )
    for name, value in own.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=1e-5)
        assert (value - initial[name]).abs().max() > 1e-3
    for mine, theirs in zip(
        *(json.loads((exp / "training.json").read_text())["epochs"] for exp in (one, two)), strict=True
    ):
        assert theirs["cv_loss"] == pytest.approx(mine["cv_loss"], abs=1e-5)
        assert [theirs[name] for name in COUNTED] == [mine[name] for name in COUNTED]


@pytest.mark.system
def test_two_ranks_train_the_dnn_of_one(start, tmp_path):
    alone, shared = start(LINES["dnn"], "alone", []), start(LINES["dnn"], "shared", TORCHRUN)
    assert len(ours(end(alone))) == len(ours(end(shared)))  # one rank logs
    assert_same_training(tmp_path / "alone/exp", tmp_path / "shared/exp")


def child(torchrun: subprocess.Popen[str], rank: int) -> int:
    """The process of a rank, once there is one."""
    while True:
        for pid in Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split():
            if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text():
                return int(pid)
        time.sleep(0.02)


def wait_for_epoch(number: int, exp: Path, process: subprocess.Popen[str]) -> None:
    while not list(exp.glob(f"nnet/nnet_iter{number:02}*")):
        time.sleep(0.02)
        assert process.poll() is None


def error_of(process: subprocess.Popen[str]) -> str:
    """The one line of ours that says why it failed, when no process of it is left; the rest is torchrun's own."""
    _, log = process.communicate(timeout=60)
    assert process.returncode
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert "lstmgenre/cli" not in log  # no traceback of ours
    (error,) = [line for line in ours(log) if "error" in line]
    return error


@pytest.mark.system
def test_two_ranks_train_the_lstm_of_one_also_when_stopped_or_when_one_is_lost_on_the_way(start, tmp_path):
    exp = tmp_path / "shared/exp"
    alone, shared = start(LINES["lstm"], "alone", []), start(LINES["lstm"], "shared", TORCHRUN)
    wait_for_epoch(1, exp, shared)
    os.killpg(shared.pid, signal.SIGINT)  # a terminal's Ctrl-C
    assert "error: interrupted; to go on: lstmgenre train-lstm " in error_of(shared)
    shared = start(LINES["lstm"], "shared", TORCHRUN)
    victim = child(shared, rank=1)
    wait_for_epoch(3, exp, shared)
    os.kill(victim, signal.SIGKILL)
    assert "lost a rank of this training" in error_of(shared)
    assert not (exp / "final.nnet").exists()
    assert "going on after iteration" in end(start(LINES["lstm"], "shared", TORCHRUN))
    end(alone)
    assert_same_training(tmp_path / "alone/exp", exp)


@pytest.mark.system
def test_an_error_of_one_rank_alone_is_told_once_and_ends_all(start, tmp_path):
    scp = tmp_path / "data/feats.scp"
    first, *rest = scp.read_text().splitlines()
    path, offset = first.split()[1].split(":")
    scp.write_text("\n".join([f"a-1 test $RANK = 0 && tail -c +{int(offset) + 1} {path} |", *rest]) + "\n")
    assert "test $RANK = 0" in error_of(start(LINES["dnn"], "run", TORCHRUN))


def test_a_share_for_every_rank(monkeypatch):
    monkeypatch.setattr(ranks, "_place", lambda: (1, 3))
    assert list(ranks.share(8)) == [1, 4, 7]
    with pytest.raises(DataError, match="1 at a time, streams or frames, cannot be divided over 3 ranks: start fewer"):
        ranks.share(1)


def test_a_rank_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match="no GPU for rank 1 of this machine"), ranks.joined("cuda"):
        pass
