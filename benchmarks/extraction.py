"""How fast extract-scat is from files to archive, where the time goes, and what a second process brings.

    python benchmarks/extraction.py [--quick]

Tracks of 3 minutes, 44.1 kHz stereo, as mp3 and as flac. Stages in CPU time of one thread, medians; peers are the same
files through libsndfile alone, and through kymatio (torch, J=13, Q=8, T=8192, chunks of 2^17) after the same decoding.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

from lstmgenre import audio
from lstmgenre.datadir import DataDir, Excerpt
from lstmgenre.scattering.extract import extract
from lstmgenre.scattering.features import ScatteringFeatures
from lstmgenre.tables import TableWriter

SECONDS = 180
FORMATS = ("mp3", "flac")
TRACKS = ("0.mp3", "0.flac", "1.flac")
KYMATIO_CHUNK = 2**17


def write_track(path: Path, seed: int, seconds: int = SECONDS) -> None:
    """Decaying notes and a little noise, in stereo: codecs work on them as on music."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * 44100) / 44100
    beat = t % 0.5
    notes = 220 * 2 ** (rng.integers(0, 24, len(t) // 22050 + 1) / 12)
    tone = np.sin(2 * np.pi * notes[(t / 0.5).astype(int)] * t) * np.exp(-4 * beat)
    stereo = 0.4 * tone[:, None] + 0.02 * rng.standard_normal((len(t), 2))
    soundfile.write(path, stereo, 44100, format=path.suffix[1:].upper())


def median(task: Callable[[], object], rounds: int) -> float:
    """Of the processor seconds that a task takes, after a first time."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.process_time()
        task()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds[1:])


def stages(folder: Path, rounds: int) -> None:
    features = ScatteringFeatures()
    kymatio = ScatteringTorch1D(13, KYMATIO_CHUNK, 8, T=8192)
    for kind in FORMATS:
        path = str(folder / f"0.{kind}")
        samples = audio.load(path)
        matrix = features(samples)
        chunks = [torch.from_numpy(samples[s : s + KYMATIO_CHUNK]) for s in range(0, len(samples), KYMATIO_CHUNK)][:-1]
        sndfile = median(partial(soundfile.read, path, dtype="float32"), rounds)
        decode = median(partial(audio.probe, path), rounds)
        load = median(partial(audio.load, path), rounds)
        transform = median(partial(features, samples), rounds)
        write = median(partial(write_ark, folder / "one.ark", matrix), rounds)
        peer = median(lambda chunks=chunks: [kymatio(chunk) for chunk in chunks], 1)
        peer *= len(samples) / (len(chunks) * KYMATIO_CHUNK)
        whole = load + transform + write
        print(f"{kind}: {SECONDS / whole:.0f} x real time; through kymatio {SECONDS / (load + peer + write):.1f} x")
        parts = {"decode, mix": decode, "resample": load - decode, "transform": transform, "write": write}
        print(f"  decoding and mixing is {sndfile / decode:.2f} x as fast as decoding alone by libsndfile")
        for name, seconds in parts.items():
            print(f"  {name:<14} {seconds / whole:6.1%}  {SECONDS / seconds:8.0f} x real time")


def write_ark(path: Path, matrix: np.ndarray) -> None:
    with TableWriter(f"ark:{path}") as table:
        table.write("track", matrix)


def second_process(folder: Path, tracks: int) -> None:
    """Wall clock of whole runs with one job and with two, processes and their imports included."""
    recordings = {name: str(folder / name) for name in TRACKS}
    # Each ends elsewhere: of the same recording features would be computed once. Nor are two that a job does one after
    # the other of the same recording, which would be decoded once.
    tracks_of = {f"a-{k:03}": Excerpt(TRACKS[k % len(TRACKS)], 0, SECONDS - k / 1000) for k in range(tracks)}
    seconds = {}
    for jobs in (1, 2):
        data = DataDir(folder / f"data{jobs}", recordings, tracks_of, utt2spk=dict.fromkeys(tracks_of, "a"))
        data.write()
        start = time.perf_counter()
        extract(data, jobs=jobs)
        seconds[jobs] = time.perf_counter() - start
    one, two = seconds.values()
    print(f"{tracks} tracks: {tracks * SECONDS / one:.0f} x real time with one job, {one / two:.2f} x that with two")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        for index, track in enumerate(TRACKS):
            write_track(Path(name) / track, index)
        stages(Path(name), 1 if quick else 7)
        second_process(Path(name), 24 if quick else 480)
