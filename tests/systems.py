"""Small systems that several files of tests look at: one that is trained, and what a choice of one rests on."""

import json

import msgspec
import numpy as np
import soundfile

from lstmgenre import scoring, svm
from lstmgenre.corpora import Track, write_data_dir
from lstmgenre.datadir import DataDir
from lstmgenre.nnet1 import init
from lstmgenre.nnet1.forward import Forward
from lstmgenre.scattering.extract import extract
from lstmgenre.scattering.features import BankConfig, FeatureConfig
from lstmgenre.segments import Pooling, mean_vector, pool_all
from lstmgenre.selection import Evidence
from lstmgenre.tables import TableWriter, open_table, read_table
from lstmgenre.tables.records import write_record
from lstmgenre.training import datasets
from lstmgenre.training.schedule import Decay
from lstmgenre.training.streams import StreamOptions
from lstmgenre.training.trainer import train

# Sample rates that need resampling, and rounding to 16 bits that a float file feels.
CONFIG = FeatureConfig(sample_rate=4000, window=256, banks=(BankConfig("scatnet", (1, 1)),), quantise=True)
GENRES = ["high", "low", "middle"]
DELAY = 2
FOLDS = 4  # of the evidence


def train_system(root):
    """data/ and exp/lstm with its SVMs, of two-second tones that are high, low or in the middle."""
    rng = np.random.default_rng(3)
    tracks = []
    for k in range(18):
        genre = GENRES[k % 3]
        tone = np.sin(np.arange(16000) * {"high": 0.9, "middle": 0.3, "low": 0.1}[genre]) * 0.3
        path = root / f"{genre} {k}.wav"
        soundfile.write(path, tone + rng.normal(size=16000) * 0.05, 8000, subtype="FLOAT")
        tracks.append(Track(genre, f"artist{k // 3}{genre}", str(k), path))
    write_data_dir(root / "data", tracks, GENRES)
    extract(DataDir.read(root / "data"), CONFIG)
    data, exp = DataDir.read(root / "data"), root / "exp" / "lstm"
    run = datasets.set_up(exp, data)
    nnet = init.lstm(run.input_dim, [6], [8], 3, 777, 0.1, 5.0)
    options = StreamOptions(learn_rate=0.01, momentum=0.5, num_streams=4, batch_size=20, targets_delay=DELAY)
    list(train(nnet, run.train, run.cv, exp, options, Decay(max_iters=3), run.transform))
    features = f"scp:{root}/data/feats.scp"
    with TableWriter(f"ark,scp:{exp}/post.ark,{exp}/post.scp") as posteriors:
        for utterance, matrix in Forward.load(exp)(read_table(features)):
            posteriors.write(utterance, matrix)
    report = scoring.Report(GENRES)
    for name, pooling in (("lseg", Pooling(0.9, fuse=False)), ("fseg", Pooling(0.6, fuse=True))):
        vectors = f"ark,scp:{exp}/{name}.ark,{exp}/{name}.scp"
        with TableWriter(vectors, "vector") as writer:
            fused = open_table(features) if pooling.fuse else None
            for utterance, vector in pool_all(read_table(f"scp:{exp}/post.scp"), pooling.threshold, fused):
                writer.write(utterance, vector)
        write_record(exp / f"{name}.ark", {"pooling": msgspec.structs.asdict(pooling)})
        model = svm.train(dict(read_table(f"scp:{exp}/{name}.scp", "vector")), data.utt2genre, GENRES)
        model.pooling = Pooling.of_vectors(f"scp:{exp}/{name}.scp")
        model.save(exp / name)
        report.add_tracks(name, model.predict(dict(read_table(f"scp:{exp}/{name}.scp", "vector"))), data.utt2genre)
    means = {utterance: mean_vector(matrix) for utterance, matrix in read_table(features)}
    model = svm.train(means, data.utt2genre, GENRES)
    model.pooling = Pooling(None, fuse=True)
    model.save(exp / "scat")
    report.add_tracks("scat", model.predict(means), data.utt2genre)
    report.add_posteriors(read_table(f"scp:{exp}/post.scp"), data.utt2genre)
    (exp / "test").mkdir()
    (exp / "test/score.json").write_text(json.dumps(report.as_dict()))


def decisions(right):
    """On twelve tracks, of which so many are right; and the truth."""
    tracks = {f"t{k:02}": GENRES[k % 3] for k in range(12)}
    return {u: GENRES[(k + (k >= right)) % 3] for k, u in enumerate(tracks)}, tracks


def evidence(means=0.0, frames=0.0, tracks=36, dim=6, seed=1):
    """Tracks whose genre shows in the mean features and in the posteriors, more or less: 0 is not at all."""
    rng = np.random.default_rng(seed)
    names = [f"a{k // 3:02}-t{k}" for k in range(tracks)]
    genres = {name: GENRES[k % 3] for k, name in enumerate(names)}
    features, posteriors = {}, {}
    for k, name in enumerate(names):
        own = np.eye(3)[k % 3]
        features[name] = (rng.normal(size=dim) + means * np.resize(own, dim)).astype(np.float32)
        logits = rng.normal(size=(20, 3)) + rng.normal(size=3) + frames * own
        posteriors[name] = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    folds = [[name for k, name in enumerate(names) if k // 3 % FOLDS == fold] for fold in range(FOLDS)]
    return Evidence(GENRES, genres, folds, features, posteriors)
