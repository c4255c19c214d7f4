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
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

from lstmgenre.scattering import transform
from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig, ScatteringFeatures

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


class Account:
    """Time, flops and bytes of the calls of a function."""

    def __init__(self, owner: Any, name: str, flops: Callable[..., float], moved: Callable[..., float]) -> None:
        self.seconds = self.flops = self.bytes = 0.0
        function = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            result = function(*args, **kwargs)
            self.seconds += time.process_time() - start
            self.flops += flops(*args)
            self.bytes += moved(*args)
            return result

        setattr(owner, name, counted)


def profile(seconds: float) -> None:
    """Where the time of a track goes, and the rate at which each part works. Patches the transform: call it last."""
    x = Noise(seconds)[:]
    paper = ScatteringFeatures(PAPER)
    paper(x)
    fft_rate = {}
    for rows, length in ((4, 2**18), (32, 2**13)):
        z = np.ones((rows, length), np.complex64)
        start = time.process_time()
        for _ in range(5):
            scipy.fft.ifft(z, norm="forward")
        fft_rate[rows, length] = 5 * 5 * z.size * math.log2(length) / (time.process_time() - start) / 1e9

    def none(*_: Any, **__: Any) -> float:
        return 0.0

    accounts = {
        "inverse FFT": Account(scipy.fft, "ifft", lambda z, *_: 5 * z.size * math.log2(z.shape[-1]), none),
        "forward FFT": Account(scipy.fft, "rfft", lambda u, *_: 2.5 * u.size * math.log2(u.shape[-1]), none),
        "filter and fold": Account(
            transform._Spectrum,
            "filter",
            lambda _, band, out: 2 * out[..., 0].size * len(band.weights),
            lambda _, band, out: 4 * out[..., 0].size * (2 * len(band.weights) + 2 * out.shape[-1]),
        ),
        "lowpass to frames": Account(
            transform._Plan,
            "_average",
            lambda _, u, lowpass: 2 * u.size * lowpass.shape[1],
            lambda _, u, lowpass: u.nbytes,
        ),
        "modulus, with its inverse FFT": Account(transform._Plan, "_moduli", none, lambda _, z: 1.5 * z.nbytes),
        "spectrum, with its forward FFT": Account(
            transform._Spectrum, "__init__", none, lambda _, u, *__: 2 * u.nbytes
        ),
    }
    start = time.process_time()
    paper(x)
    total = time.process_time() - start
    print("  FFT alone: " + ", ".join(f"{r} x {n}: {rate:.1f} GFLOP/s" for (r, n), rate in fft_rate.items()))
    flops = sum(account.flops for account in accounts.values())
    print(f"  {flops / len(x):.0f} flops a sample in all, {seconds / total:.0f} x real time while profiled")
    shares = Counter({name: account.seconds for name, account in accounts.items()})
    shares["modulus"] = shares.pop("modulus, with its inverse FFT") - shares["inverse FFT"]
    shares["mirrored bins"] = shares.pop("spectrum, with its forward FFT") - shares["forward FFT"]
    shares["renorm, logarithm, calls, the rest"] = total - sum(shares.values())
    for name, spent in shares.most_common():
        account = accounts.get(name)
        rate = f"{account.flops / spent / 1e9:6.1f} GFLOP/s" if account else ""
        moved = f"{account.bytes / spent / 1e9:6.1f} GB/s" if account and account.bytes else ""
        print(f"  {name:<36} {100 * spent / total:5.1f} %  {1e9 * spent / len(x):6.2f} ns/sample {rate} {moved}")


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
