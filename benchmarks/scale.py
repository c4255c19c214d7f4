"""How time and memory grow with the number of tracks: validate-data, split-data, pool-segments and score.

    python benchmarks/scale.py [--quick]

Prints per command the processor seconds and the peak memory at 80 000 tracks, less what the command takes for a dozen
(its start), each with its ratio to that at 20 000 tracks: 4 is linear growth. The scp lines are as many as tracks, 160
frames of 525 features and 6 posteriors each; they point to a few matrices, so that a disk need not hold 28 GB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from lstmgenre.datadir import DataDir
from lstmgenre.tables import TableWriter, read_map, write_map

FRAMES, FEATURES, GENRES = 160, 525, 6
DISTINCT = 32  # matrices that the scp lines share
REPEATS = 3  # the least counts: other processes can only add
LEAST = 0.01, 1.0  # seconds and megabytes that mean anything
START = 12  # tracks of the run that is subtracted

# Runs a command and tells its /proc/self/status. The peak that wait4 knows is never less than that of who starts it.
CHILD = """
import atexit, os, sys
pipe = int(sys.argv.pop(1))
atexit.register(lambda: os.write(pipe, open("/proc/self/status", "rb").read()))
from lstmgenre.__main__ import main
main()
"""


def make(folder: Path, tracks: int) -> None:
    """A data directory `data` and posteriors `post.scp` of `tracks` tracks of six genres, ten to an artist."""
    rng = np.random.default_rng(0)
    names = [f"a{k // 10:06}-t{k:07}" for k in range(tracks)]
    data = DataDir(folder / "data", utt2spk={name: name[:7] for name in names})
    data.path.mkdir(parents=True)
    posteriors = rng.dirichlet(np.ones(GENRES), (DISTINCT, FRAMES)).astype(np.float32)
    features = rng.normal(size=(DISTINCT, FRAMES, FEATURES)).astype(np.float32)
    for name, matrices in (("post", posteriors), ("feats", features)):
        with TableWriter(f"ark,scp:{folder}/{name}.ark,{folder}/{name}.few") as table:
            for k, matrix in enumerate(matrices):
                table.write(f"m{k:02}", matrix)
        places = list(read_map(folder / f"{name}.few").values())
        write_map(folder / f"{name}.scp", {n: places[k % DISTINCT] for k, n in enumerate(names)})
    data.wav_scp = {name: f"/corpus/{name}.mp3" for name in names}
    data.utt2genre = {name: f"genre{k % GENRES}" for k, name in enumerate(names)}
    data.utt2num_frames, data.utt2dur = dict.fromkeys(names, FRAMES), dict.fromkeys(names, 30.0)
    data.feats = read_map(folder / "feats.scp")
    data.write()


def commands(folder: Path) -> dict[str, str]:
    return {
        "validate-data": f"validate-data {folder}/data",
        "split-data": f"split-data {folder}/data {folder}/split --folds 2",
        "pool-segments": f"pool-segments scp:{folder}/post.scp ark,scp:{folder}/seg.ark,{folder}/seg.scp",
        "pool-segments --fuse": f"pool-segments scp:{folder}/post.scp ark,scp:{folder}/fused.ark,{folder}/fused.scp "
        f"--fuse scp:{folder}/feats.scp",
        "score": f"score {folder}/data --post scp:{folder}/post.scp",
    }


def measure(line: str) -> np.ndarray:
    """Processor seconds and peak megabytes of a command in a fresh process."""
    status, its_end = os.pipe()
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(its_end), *line.split()], pass_fds=[its_end], **nowhere
    )
    os.close(its_end)
    with os.fdopen(status) as lines:
        (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    _, code, usage = os.wait4(process.pid, 0)
    if code:
        sys.exit(f"failed: lstmgenre {line}")
    return np.array([usage.ru_utime + usage.ru_stime, int(peak) * 1024 / 1e6])


def main() -> None:
    parser = argparse.ArgumentParser(description="Growth of time and memory with the number of tracks")
    parser.add_argument("--quick", action="store_true", help="a quarter of the tracks")
    parser.add_argument("--dir", type=Path, help="where to write (default: a temporary directory)")
    options = parser.parse_args()
    few, many = (5000, 20000) if options.quick else (20000, 80000)
    taken: dict[tuple[str, int], np.ndarray] = {}
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        for tracks in (START, few, many):
            folder = Path(directory) / str(tracks)
            make(folder, tracks)
            for name, line in commands(folder).items():
                taken[name, tracks] = np.min([measure(line) for _ in range(REPEATS)], axis=0)
    heads = f"{'command':22}{'start':>9}{f'{many} tracks':>17}{'ratio':>7}{'a track':>10}"
    print(f"{heads}{'memory':>11}{'ratio':>7}{'a track':>10}")
    for name in commands(Path()):
        start = taken[name, START]
        seconds, megabytes = taken[name, many] - start
        ratios = (taken[name, many] - start) / np.maximum(taken[name, few] - start, LEAST)
        print(
            f"{name:22}{start[0]:7.1f} s{seconds:15.2f} s{ratios[0]:7.2f}{1e6 * seconds / many:7.0f} us"
            f"{megabytes:8.0f} MB{ratios[1]:7.2f}{1e3 * megabytes / many:7.1f} KB"
        )
    print(f"ratio: to {few} tracks, less the start; {many // few} is linear")


if __name__ == "__main__":
    main()
