"""How fast the scattering transform is: against real time, against kymatio, and against what its arithmetic asks for.

    python benchmarks/scattering.py [--quick]

Speeds are seconds of audio per second of one core: CPU time of one thread, the median of rounds in which all take their
turn, so that the ratios hold on a busy machine too. kymatio has the parameters nearest to the paper's bank (J=13, Q=8,
T=8192: 644 rows for our 525), both its backends, several chunk lengths, and no overlap between its chunks.
"""

from __future__ import annotations

import argparse
import math
import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import multiprocessing
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig, ScatteringFeatures
from lstmgenre.scattering.plan import Node

KYMATIO = FeatureConfig(banks=(BankConfig("kymatio", (8, 1), octaves=13),), renorm=False, log=False)


class Noise:
    """A track of any length that takes no memory."""

    def __init__(self, seconds: float) -> None:
        self.length = int(seconds * PAPER.sample_rate)
        self.period = 0.1 * np.random.default_rng(0).standard_normal(2**18, dtype=np.float32)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.period.take(np.arange(*part.indices(self.length)), mode="wrap")


def real_time(tasks: dict[str, tuple[float, Callable[[], object]]], rounds: int) -> dict[str, float]:
    """Seconds of audio per CPU second of each task (its seconds of audio, what to run), which is also printed."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, (_, task) in tasks.items():
            start = time.process_time()
            task()
            seconds[name].append(time.process_time() - start)
    speeds = {name: audio / statistics.median(seconds[name][1:]) for name, (audio, _) in tasks.items()}
    for name, speed in speeds.items():
        print(f"  {name:<44} {speed:8.1f} x real time")
    return speeds


def speed(rounds: int, kymatio_lengths: list[int]) -> None:
    paper, ours = ScatteringFeatures(PAPER), ScatteringFeatures(KYMATIO)
    tracks = {seconds: Noise(seconds)[:] for seconds in (30, 180, 600)}
    tasks: dict[str, tuple[float, Callable[[], object]]] = {}
    for seconds, x in tracks.items():
        tasks[f"paper's features, {seconds} s"] = (seconds, partial(paper, x))
    tasks["kymatio's bank in our transform, 600 s"] = (600, partial(ours, tracks[600]))
    for length in kymatio_lengths:
        x = tracks[600][:length]
        seconds = length / PAPER.sample_rate
        for backend, cls, samples in (
            ("numpy", ScatteringNumPy1D, x),
            ("torch", ScatteringTorch1D, torch.from_numpy(x)),
        ):
            run = cls(13, length, 8, T=8192)
            tasks[f"kymatio {backend}, chunks of {length}"] = (seconds, partial(run, samples))
    speeds = real_time(tasks, rounds)
    for backend in ("numpy", "torch"):
        best = max(value for name, value in speeds.items() if name.startswith(f"kymatio {backend}"))
        ratio = speeds["paper's features, 180 s"] / best
        print(f"  paper's features, 180 s, to kymatio {backend} at its best: {ratio:.1f}")


def linearity(rounds: int, minutes: list[int]) -> None:
    paper = ScatteringFeatures(PAPER)
    tasks = {f"{m} min": (60.0 * m, partial(paper, Noise(60 * m)[:])) for m in minutes}
    speeds = list(real_time(tasks, rounds).values())
    print(f"  slowest / fastest: {min(speeds) / max(speeds):.2f}")


def memory(hours: float) -> None:
    """Peak of a fresh process: that is what counts when there are many, and nothing else has been in it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        before, after = pool.apply(peak, (3600 * hours,))
    print(f"  after the imports (torch's too) {before:.0f} MB, at the end of a track of {hours:g} h {after:.0f} MB")


def peak(seconds: float) -> tuple[float, float]:
    before = high_water()
    ScatteringFeatures(PAPER)(Noise(seconds))
    return before, high_water()


def high_water() -> float:
    """Peak memory of this process in MB; the usual getrusage counts that of the parent in."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def profile(seconds: float) -> None:
    """What each level must do and what it takes, beside the rate of other FFTs in the same run."""
    rates = {}
    for rows, length in ((4, 2**18), (32, 2**13), (128, 2**11)):
        z = np.ones((rows, length), np.complex64)
        flops = 5 * z.size * math.log2(length)
        rates[f"scipy {rows} x {length}"] = flops / fastest(partial(scipy.fft.ifft, z, norm="forward"))
        rates[f"torch {rows} x {length}"] = flops / fastest(partial(torch.fft.ifft, torch.from_numpy(z)))
    print("  FFT alone, GFLOP/s: " + ", ".join(f"{name}: {rate / 1e9:.1f}" for name, rate in rates.items()))

    x = Noise(seconds)[:]
    paper = ScatteringFeatures(PAPER)
    total = fastest(partial(paper, x))
    plan, arrays, workers = paper.transform._plan, paper.transform._arrays, paper.transform._workers
    samples = (arrays.hops - 2 * paper.transform.margin) * plan.hop
    print(f"  {'new samples':>11} {'signals':>7} {'flops/sample':>12} {'ns/sample':>9} {'GFLOP/s':>8}")
    spent = 0.0
    for level, worker in zip(plan.levels, workers, strict=True):
        chunks = arrays.hops * plan.hop // level.new
        taken = fastest(partial(worker, chunks)) / samples
        flops = sum(map(arithmetic, level.nodes)) * chunks / samples
        print(f"  {level.new:11} {len(level.nodes):7} {flops:12.0f} {1e9 * taken:9.2f} {flops / taken / 1e9:8.1f}")
        spent += taken
    rest = total / len(x) - spent
    print(f"  the rest (reading, order 0, renorm, logarithm): {1e9 * rest:.2f} ns/sample")
    moved = 2 * sum(stream.nbytes for stream in arrays.streams.values()) / samples
    print(f"  streams between the levels: {moved:.1f} bytes/sample, written and read")


def arithmetic(node: Node) -> float:
    """Flops of a signal of one chunk: its DFTs, its band and its average; the modulus is not counted."""
    flops = 0.0
    if node.band:
        flops += 5 * node.length * math.log2(node.length) + 4 * len(node.band.weights)
    if node.has_children:
        flops += 2.5 * node.length * math.log2(node.length)
    if node.lowpass:
        flops += 2 * node.lowpass.weights.shape[1] * node.length * 0.8  # a fifth is margin
    return flops


def fastest(task: Callable[[], object]) -> float:
    """CPU seconds of the best of some runs."""
    times = []
    for _ in range(7):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, one chunk length of kymatio's, shorter tracks"
    )
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print("Speed")
    speed(3 if quick else 9, [2**16] if quick else [2**15, 2**16, 2**17, 2**18, 3 * 2**18])
    print("Linear in length")
    linearity(1 if quick else 5, [3, 12] if quick else [3, 12, 48])
    print("Memory")
    memory(0.5 if quick else 2)
    print("Profile (3 min)")
    profile(180)


if __name__ == "__main__":
    main()
