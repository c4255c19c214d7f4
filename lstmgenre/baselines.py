"""Baselines that a reader expects beside the paper's systems, each a decision per track.

majority   the genre of most training tracks
scat_svm   the mean scattering vector (equation 10) and the linear SVM, as the scattering papers have it
mfcc_svm   mean and standard deviation of MFCCs and the linear SVM

The SVMs' C is what cross-validation on training tracks says: it proves nothing to beat a baseline that is
badly tuned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from lstmgenre import audio, svm
from lstmgenre.datadir import DataDir
from lstmgenre.parallel.run import run
from lstmgenre.scoring import Report
from lstmgenre.segments import mean_vector
from lstmgenre.tables import read_table

# The sizes that librosa has as defaults, and with it most published MFCC baselines on music.
COEFFICIENTS = 20
WINDOW = 2048  # samples at 22 050 Hz: 93 ms
HOP = 512
MELS = 128

_BLOCK = 4096  # frames that are transformed at once: 17 MB of spectra and as much again


def score(train: DataDir, test: DataDir, jobs: int = 1) -> Iterator[tuple[str, Report]]:
    """Train each baseline on the tracks of `train` that have features and score it on those of `test`, by name.

    MFCCs are computed from the audio, in `jobs` processes. Raises DataError where a track cannot be decoded, or the SVM
    cannot be trained.
    """
    train, test = train.subset(train.feats), test.subset(test.feats)
    majority = Counter(train.utt2genre[utterance] for utterance in train.utterances).most_common(1)[0][0]
    yield "majority", _report("majority", dict.fromkeys(test.utterances, majority), train, test)
    for name, vectors_of in (("scat_svm", scattering_vectors), ("mfcc_svm", partial(mfcc_vectors, jobs=jobs))):
        vectors = vectors_of(train)
        model = svm.train(vectors, train.utt2genre, train.genres, svm.select_penalty(train, vectors))
        yield name, _report(name, model.predict(vectors_of(test)), train, test)


def scattering_vectors(data: DataDir) -> dict[str, np.ndarray]:
    """The mean feature vector (dim,) of each track."""
    return {utterance: mean_vector(matrix) for utterance, matrix in read_table(f"scp:{data.path / 'feats.scp'}")}


def mfcc_vectors(data: DataDir, jobs: int = 1) -> dict[str, np.ndarray]:
    """Mean, then standard deviation of the MFCCs of each track, (40,)."""
    shards = [data.subset(data.utterances[k::jobs]) for k in range(min(jobs, len(data.utterances)))]
    vectors: dict[str, np.ndarray] = {}
    for part in run(_mfcc_shard, shards, jobs, str(data.path / "log" / "mfcc.JOB.log")):
        vectors.update(part)
    return dict(sorted(vectors.items()))


def _mfcc_shard(data: DataDir) -> dict[str, np.ndarray]:
    vectors = {}
    for utterance in data.utterances:
        rxfilename, start, end = data.recording_of(utterance)
        frames = mfcc(audio.load(rxfilename, start=start, end=end))
        vectors[utterance] = np.concatenate([frames.mean(axis=0), frames.std(axis=0)]).astype(np.float32)
    return vectors


def mfcc(samples: np.ndarray) -> np.ndarray:
    """MFCCs of samples at 22 050 Hz: (samples,) -> float64 (frames, 20), of the windows that lie in the track."""
    # lstmgenre.audio has seen to it that torchaudio can be imported.
    from torchaudio.transforms import MFCC

    spectrum = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": MELS, "center": False}
    transform = MFCC(audio.SAMPLE_RATE, COEFFICIENTS, log_mels=True, melkwargs=spectrum)
    signal = torch.from_numpy(np.pad(samples, (0, max(0, WINDOW - len(samples)))))
    step = _BLOCK * HOP
    blocks = [signal[k : k + step + WINDOW - HOP] for k in range(0, len(signal) - WINDOW + 1, step)]
    return torch.cat([transform(block).T for block in blocks]).numpy().astype(np.float64)


def _report(name: str, predictions: dict[str, str], train: DataDir, test: DataDir) -> Report:
    report = Report(train.genres)
    report.add_tracks(name, predictions, test.utt2genre)
    report.add_artists(test.utt2spk, train.utt2spk)
    return report
