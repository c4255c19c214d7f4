"""Training and forward passes of the paper's networks, against torch.nn.LSTM and torch.nn.Linear with autograd.

    python benchmarks/nets.py [--quick] [--threads N] [--device cuda]
    python benchmarks/nets.py --memory            peak memory over archives of 0.1 M and 1 M frames
    python benchmarks/nets.py --paper [--streams 64]    hours that the paper's six networks take, from their rates here

Prints per job: our frames/s, the ratio to torch's own layers on the same shapes, and the share of the rate of a large
float32 matrix product (torch's `a @ b`) in the same run, at 22.4 MFLOP a trained and 7.5 a forwarded frame of
525-800-512-6. Ours multiplies by oneDNN, so that the share can be over 1. All take turns; the figures are medians.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from lstmgenre.nnet1 import init
from lstmgenre.nnet1.forward import Forward
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables import TableWriter
from lstmgenre.training import frames, streams
from lstmgenre.training.examples import Example, Examples
from lstmgenre.training.frames import FrameOptions
from lstmgenre.training.streams import StreamOptions

INPUTS, CLASSES, CHUNK = 525, 6, 60
RATE = 1e-5
UPDATE = {"learn_rate": RATE, "momentum": 0.8}


def lstm_nnet() -> Nnet:
    return init.lstm(INPUTS, [512], [800], CLASSES, seed=1)


def dnn_nnet() -> Nnet:
    return init.dnn(INPUTS, [1024], CLASSES, seed=1)


class TorchLstm(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(INPUTS, 800, proj_size=512)
        self.output = torch.nn.Linear(512, CLASSES)

    def forward(self, x, state=None):
        y, state = self.lstm(x, state)
        return self.output(y), state


class TorchDnn(torch.nn.Sequential):
    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(INPUTS, 1024), torch.nn.Sigmoid(), torch.nn.Linear(1024, CLASSES))


def examples(*lengths: int) -> list[Example]:
    rng = np.random.default_rng(1)
    return [
        Example.of(f"utt{k}", rng.standard_normal((length, INPUTS), np.float32), k % CLASSES, CLASSES)
        for k, length in enumerate(lengths)
    ]


@dataclass
class Job:
    name: str
    frames: int
    mflop: float
    ours: Callable[[], object]
    torch: Callable[[], object]


def train_lstm(num_streams: int, chunks: int, device: str) -> Job:
    data = examples(*[chunks * CHUNK] * num_streams)
    options = StreamOptions(num_streams=num_streams, batch_size=CHUNK, targets_delay=0, **UPDATE)
    nnet, peer = lstm_nnet().to(device), TorchLstm().to(device)
    optimizer = torch.optim.SGD(peer.parameters(), lr=RATE, momentum=0.8)

    def theirs() -> None:
        state = None
        for chunk in streams.chunks(data, options):
            x, targets = chunk.features.to(device), chunk.targets.to(device)
            logits, state = peer(x, state)
            loss = -(targets * logits.log_softmax(-1)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = tuple(part.detach() for part in state)

    name = f"LSTM training, {num_streams} streams x {CHUNK}"
    return Job(name, chunks * CHUNK * num_streams, 22.4, lambda: streams.train_epoch(nnet, data, options), theirs)


def train_dnn(count: int, device: str) -> Job:
    data = examples(*[1000] * (count // 1000))
    options = FrameOptions(**UPDATE)
    nnet, peer = dnn_nnet().to(device), TorchDnn().to(device)
    optimizer = torch.optim.SGD(peer.parameters(), lr=RATE, momentum=0.8)

    def theirs() -> None:
        for x, targets, _ in frames._minibatches(data, options, None, True):
            logits = peer(x.to(device))
            loss = -(targets.to(device) * logits.log_softmax(-1)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    weights = INPUTS * 1024 + 1024 * CLASSES
    return Job(
        "DNN training, minibatch 256", count, 6e-6 * weights, lambda: frames.train_epoch(nnet, data, options), theirs
    )


def forward_set(nnet: Nnet, peer: torch.nn.Module, count: int, mflop: float, name: str, device: str) -> Job:
    """Ours: utterances of 400 to 1600 frames; torch: as many in 64 equal utterances, cut into the same chunks."""
    lengths = np.random.default_rng(2).integers(400, 1600, count // 1000)
    matrices = [(example.utterance, example.features.numpy()) for example in examples(*lengths)]
    total = int(lengths.sum())
    x = torch.randn(total // 64, 64, INPUTS, device=device)
    run = Forward(nnet.to(device), device=device)
    peer.to(device)

    @torch.inference_mode()
    def theirs() -> None:
        state = None
        for start in range(0, len(x), CHUNK):
            if isinstance(peer, TorchLstm):
                logits, state = peer(x[start : start + CHUNK], state)
            else:
                logits = peer(x[start : start + CHUNK])
            logits.softmax(-1)

    return Job(name, total, mflop, lambda: list(run(matrices)), theirs)


def gemm_rate(device: str, size: int = 2048) -> float:
    a, b = torch.randn(2, size, size, device=device)
    return 2 * size**3 / seconds(lambda: a @ b, device)


def seconds(job: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    job()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(jobs: list[Job], rounds: int, device: str) -> None:
    print(f"{'':31}  frames/s   / torch   share of GEMM   (GEMM {torch.get_num_threads()} thread(s), {device})")
    for job in jobs:
        rows = []
        for turn in range(rounds + 1):
            row = gemm_rate(device), seconds(job.ours, device), seconds(job.torch, device)
            if turn:  # the first one warms up
                rows.append(row)
        rate = statistics.median(job.frames / ours for _, ours, _ in rows)
        ratio = statistics.median(theirs / ours for _, ours, theirs in rows)
        share = statistics.median(job.frames * job.mflop * 1e6 / ours / gemm for gemm, ours, _ in rows)
        gemm = statistics.median(gemm for gemm, _, _ in rows) / 1e9
        print(f"{job.name:31} {rate:9.0f} {ratio:9.2f} {share:15.2f}   ({gemm:.0f} GFLOP/s)", flush=True)


def paper(num_streams: int, device: str) -> None:
    """Hours for Tables 2 and 4: epochs over 1.0 M frames, a tenth of them held out; 1.95 M frames forward."""
    print(f"{'':21} trained/s  validated/s  forwarded/s  hours  ({num_streams} streams x {CHUNK}, {device})")
    total = 0.0
    for projections, cells in (([512], [800]), ([1024], [1500]), ([512] * 2, [800] * 2), ([1024] * 2, [1500] * 2)):
        nnet = init.lstm(INPUTS, projections, cells, CLASSES, seed=1).to(device)
        options = StreamOptions(num_streams=num_streams, batch_size=CHUNK, **UPDATE)
        total += row(f"LSTM {dims(projections)}", nnet, streams, options, [4 * CHUNK] * num_streams, 50, device)
    for hidden in ([1024], [1024, 1024]):
        nnet = init.dnn(INPUTS, hidden, CLASSES, seed=1).to(device)
        total += row(f"DNN {dims(hidden)}", nnet, frames, FrameOptions(**UPDATE), [1000] * 20, 100, device)
    print(f"{'all six':57} {total:7.1f}")


def dims(hidden: list[int]) -> str:
    return "-".join(map(str, [INPUTS, *hidden, CLASSES]))


def row(
    name: str, nnet: Nnet, kind: ModuleType, options: object, lengths: list[int], epochs: int, device: str
) -> float:
    data = examples(*lengths)
    matrices = [(example.utterance, example.features.numpy()) for example in examples(*[500] * 64)]
    jobs: list[tuple[int, Callable[[], object]]] = [
        (sum(lengths), lambda: kind.train_epoch(nnet, data, options)),
        (sum(lengths), lambda: kind.cross_validate(nnet, data, options)),
        (64 * 500, lambda: list(Forward(nnet, device=device)(matrices))),
    ]
    trained, validated, forwarded = (
        count / statistics.median(seconds(job, device) for _ in range(3)) for count, job in jobs
    )
    hours = (epochs * (0.9e6 / trained + 0.1e6 / validated) + 1.95e6 / forwarded) / 3600
    print(f"{name:21} {trained:9.0f} {validated:12.0f} {forwarded:12.0f} {hours:7.1f}", flush=True)
    return hours


def generate(count: int) -> None:
    """Write an archive of utterances of 1000 frames to stdout."""
    matrix = np.random.default_rng(1).standard_normal((1000, INPUTS), np.float32)
    with TableWriter("ark:-") as table:
        for k in range(count // 1000):
            table.write(f"utt{k:06}", matrix)


def read(kind: str, count: int) -> None:
    """Train small nets for an epoch on an archive from a pipe: reading sets the pace. Print peak memory and rate."""
    targets = {f"utt{k:06}": k % CLASSES for k in range(count // 1000)}
    data = Examples(f"ark:{sys.executable} {__file__} --generate {count} |", targets, CLASSES)
    start = time.perf_counter()
    if kind == "dnn":
        frames.train_epoch(init.dnn(INPUTS, [32], CLASSES, seed=1), data, FrameOptions(**UPDATE))
    else:
        options = StreamOptions(num_streams=64, batch_size=CHUNK, **UPDATE)
        streams.train_epoch(init.lstm(INPUTS, [16], [32], CLASSES, seed=1), data, options)
    rate = count / (time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{kind:5} {count:9} frames: peak {peak:5.0f} MB, {rate:8.0f} frames/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer frames and rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--generate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.generate:
        generate(arguments.generate)
    elif arguments.read:
        read(arguments.read[0], int(arguments.read[1]))
    elif arguments.memory:
        for kind in ("dnn", "lstm"):
            for count in ("100000", "1000000"):
                subprocess.run([sys.executable, __file__, "--read", kind, count], check=True)
    elif arguments.paper:
        paper(arguments.streams, arguments.device)
    else:
        size = 1 if arguments.quick else 4
        device = arguments.device
        jobs = [
            train_lstm(4, 4 * size, device),
            train_lstm(64, size, device),
            train_dnn(10_000 * size, device),
            forward_set(lstm_nnet(), TorchLstm(), 64_000, 7.5, "LSTM forward, by length", device),
            forward_set(dnn_nnet(), TorchDnn(), 64_000, 2e-6 * (INPUTS + CLASSES) * 1024, "DNN forward", device),
        ]
        compare(jobs, 3 if arguments.quick else 7, device)


if __name__ == "__main__":
    main()
