"""How soon and how fast predict names songs, beside decoding them alone in the same run.

    python benchmarks/predict.py [--quick] [--many]

Songs are 30 s of 44.1 kHz stereo as mp3. The systems are the LSTM that learn trains (32 outputs of 48 cells) and the
paper's (512 of 800), each with its fused SVM, after one epoch of a few songs: speed does not ask what they have learnt.
Peers are the same files decoded, and no more, by libsndfile and by FFmpeg. --many adds the memory of 10 000 songs.
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import av
import soundfile
from extraction import median, write_track

SECONDS = 30
SCRIPT = str(Path(sys.executable).with_name("lstmgenre"))
DISTINCT = 12  # recordings; songs are links to them
GENRES = ("a", "b", "c", "d", "e", "f")
NETWORKS = {"learn's": "--hidden 32 --cell-dim 48", "the paper's": "--hidden 512 --cell-dim 800"}
FEATURES = """
prep-data folders {music} {corpus} --test-fraction 0
extract-scat {data} --nj 2
"""
TRAINING = """
train-lstm {data} {exp} --max-iters 1 {network}
forward {exp} scp:{data}/feats.scp ark,scp:{exp}/post.ark,{exp}/post.scp
pool-segments scp:{exp}/post.scp ark,scp:{exp}/fseg.ark,{exp}/fseg.scp --fuse scp:{data}/feats.scp
train-svm {data} scp:{exp}/fseg.scp {exp}/fseg
bundle {exp} {model}
"""


def lstmgenre(*arguments: str | Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds of all its processes, and the peak megabytes of the largest."""
    start = time.perf_counter()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen([SCRIPT, *map(str, arguments)], **streams)
    message = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: lstmgenre {' '.join(map(str, arguments))}\n{message.decode()}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def run(lines: str, **places: str | Path) -> None:
    for line in lines.strip().splitlines():
        lstmgenre(*line.format(**places).split())


def extracted(folder: Path, recordings: Sequence[Path]) -> Path:
    for k, recording in enumerate(recordings):
        genre = folder / "music" / GENRES[k % len(GENRES)]
        genre.mkdir(parents=True, exist_ok=True)
        os.link(recording, genre / recording.name)
    run(FEATURES, music=folder / "music", corpus=folder / "corpus", data=folder / "corpus" / "train")
    return folder / "corpus" / "train"


def songs(folder: Path, recordings: Sequence[Path], count: int) -> Path:
    """A folder of that many names."""
    folder.mkdir()
    for k in range(count):
        os.link(recordings[k % len(recordings)], folder / f"{k:05}.mp3")
    return folder


def ffmpeg(path: Path) -> None:
    with av.open(path) as container:
        container.streams.audio[0].thread_count = 1
        for _ in container.decode(audio=0):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer songs and rounds")
    parser.add_argument("--many", action="store_true", help="10 000 songs, too (a quarter of an hour)")
    options = parser.parse_args()
    count, rounds = (48, 1) if options.quick else (200, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = [folder / f"{k}.mp3" for k in range(DISTINCT)]
        for k, recording in enumerate(recordings):
            write_track(recording, k, SECONDS)
        data = extracted(folder, recordings)
        few, every = songs(folder / "few", recordings, count // 8), songs(folder / "all", recordings, count)
        alone = {
            peer: SECONDS * DISTINCT / median(lambda decode=decode: [*map(decode, recordings)], rounds)
            for peer, decode in (("libsndfile", partial(soundfile.read, dtype="float32")), ("FFmpeg", ffmpeg))
        }
        for k, (system, network) in enumerate(NETWORKS.items()):
            model = folder / f"model{k}"
            run(TRAINING, data=data, exp=folder / f"exp{k}", model=model, network=network)
            first = [lstmgenre("predict", model, recordings[0])[0] for _ in range(rounds + 1)][1:]
            ratios, rates = [], []
            for _ in range(1 if options.quick else 3):  # in turns: what the machine does besides falls on all
                start, two = lstmgenre("predict", model, few), lstmgenre("predict", model, every, "--nj", 2)
                one = lstmgenre("predict", model, every)
                rates.append(SECONDS * (count - count // 8) / (one[1] - start[1]))
                ratios.append(one[0] / two[0])
            rate = statistics.median(rates)
            print(
                f"with {system} network: {statistics.median(first):.2f} s to the first song, start and imports included"
            )
            print(f"  {count} songs: {rate:.0f} x real time a core, start aside, and all in all with two jobs", end=" ")
            print(f"{statistics.median(ratios):.2f} x as fast as with one")
            print(
                *(f"  {rate / of:.2f} of decoding alone by {peer}, {of:.0f} x" for peer, of in alone.items()), sep="\n"
            )
            print(f"  at most {start[2]:.0f} MB for {count // 8} songs, {one[2]:.0f} MB for {count}")
        if options.many:
            most = lstmgenre("predict", folder / "model0", songs(folder / "many", recordings, 10_000))[2]
            print(f"at most {most:.0f} MB for 10 000 songs, with learn's network")


if __name__ == "__main__":
    main()
