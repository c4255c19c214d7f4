"""Reading and writing archives of (160 x 525) float32 matrices: against kaldiio, kaldi_native_io and numpy's file rate.

    python benchmarks/tables.py [--quick] [--dir DIR]

Prints a line per direction: our time, and the time of each peer divided by ours (1: as fast; more: we are faster).
All take turns in one run, write to files that are not there yet and read from the page cache; the figures are medians.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import kaldi_native_io
import kaldiio
import numpy as np

from lstmgenre.tables import TableWriter, read_table

SHAPE = (160, 525)  # a scattering matrix of 30 s of audio


Matrices = dict[str, np.ndarray]


def write_ours(path: Path, matrices: Matrices) -> None:
    with TableWriter(f"ark,scp:{path},{path}.scp") as table:
        for key, matrix in matrices.items():
            table.write(key, matrix)


def write_kaldiio(path: Path, matrices: Matrices) -> None:
    with kaldiio.WriteHelper(f"ark,scp:{path},{path}.scp") as table:
        for key, matrix in matrices.items():
            table(key, matrix)


def write_native(path: Path, matrices: Matrices) -> None:
    with kaldi_native_io.FloatMatrixWriter(f"ark,scp:{path},{path}.scp") as table:
        for key, matrix in matrices.items():
            table.write(key, matrix)


def write_numpy(path: Path, matrices: Matrices) -> None:
    with open(path, "wb") as stream:
        for matrix in matrices.values():
            matrix.tofile(stream)


def read_ours(path: Path) -> int:
    return sum(len(matrix) for _, matrix in read_table(f"ark:{path}"))


def read_kaldiio(path: Path) -> int:
    return sum(len(matrix) for _, matrix in kaldiio.load_ark(str(path)))


def read_native(path: Path) -> int:
    with kaldi_native_io.SequentialFloatMatrixReader(f"ark:{path}") as table:
        return sum(len(matrix) for _, matrix in table)


def read_numpy(path: Path) -> int:
    """The bytes of the archive, a matrix's number at a time."""
    numbers = 0
    with open(path, "rb") as stream:
        while len(values := np.fromfile(stream, "<f4", SHAPE[0] * SHAPE[1])):
            numbers += len(values)
    return numbers


WRITERS = {"kaldiio": write_kaldiio, "kaldi_native_io": write_native, "ours": write_ours, "numpy": write_numpy}
READERS = {"ours": read_ours, "kaldiio": read_kaldiio, "kaldi_native_io": read_native, "numpy": read_numpy}


def seconds(job: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    job(*arguments)
    return time.perf_counter() - start


def in_turns(names: Iterable[str], rounds: int) -> Iterator[str]:
    """Each name once a round, in another order each time: none is always the one after the slowest."""
    order, draw = list(names), random.Random(0)
    for _ in range(rounds):
        draw.shuffle(order)
        yield from order


def report(direction: str, times: dict[str, list[float]], megabytes: float) -> None:
    median = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first round warms up
    ours = median.pop("ours")
    ratios = ", ".join(f"{name} {value / ours:.2f}" for name, value in median.items())
    print(f"{direction} {megabytes:.0f} MB: ours {ours:.2f} s, {megabytes / ours:.0f} MB/s; peer / ours: {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 000 matrices instead of 10 000")
    parser.add_argument("--dir", help="where the files go: two of 3.4 GB, or 0.3 GB with --quick")
    arguments = parser.parse_args()
    count, rounds = (1000, 25) if arguments.quick else (10_000, 12)
    block = np.random.default_rng(0).standard_normal((64, *SHAPE), dtype=np.float32)
    matrices = {f"utt{i:06d}": block[i % len(block)] for i in range(count)}
    writing: dict[str, list[float]] = {name: [] for name in WRITERS}
    reading: dict[str, list[float]] = {name: [] for name in READERS}
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        archive = Path(folder, "feats.ark")
        for name in in_turns(WRITERS, rounds):
            # The disk at rest, and the pages of the last archive free for this one: pages that have been free for a
            # while may have gone back to a virtual machine's host, and whoever takes them first is twice as slow.
            os.sync()
            archive.unlink(missing_ok=True)
            writing[name].append(seconds(WRITERS[name], archive, matrices))
        # All read one archive: how fast depends on how it was written.
        write_ours(archive, matrices)
        os.sync()
        for name in in_turns(READERS, rounds):
            reading[name].append(seconds(READERS[name], archive))
    megabytes = block[0].nbytes * count / 1e6
    report("write", writing, megabytes)
    report("read", reading, megabytes)


if __name__ == "__main__":
    main()
