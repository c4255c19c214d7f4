"""The segment classifier: laws of a linear SVM, and a model file that can hold no code."""

import pickle
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.preprocessing import FunctionTransformer

from lstmgenre import svm
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.segments import Pooling, pool

GENRES = ["jazz", "rock"]


@pytest.fixture
def tracks():
    """Two clouds of unlike scale, apart along the first axis only."""
    rng = np.random.default_rng(1)
    vectors, genres = {}, {}
    for k in range(40):
        name, label = f"t{k:02}", k % 2
        vectors[name] = np.array([label * 4 - 2, 0], np.float32) + rng.normal(size=2).astype(np.float32) * [0.3, 1000]
        genres[name] = GENRES[label]
    return vectors, genres


def test_separable_tracks_are_separated_whatever_their_scale(tracks):
    vectors, genres = tracks
    assert svm.train(vectors, genres, GENRES).predict(vectors) == genres


def test_moving_and_scaling_the_inputs_changes_no_decision(tracks):
    vectors, genres = tracks
    probe = {f"p{k}": np.array([k / 10 - 2, 500 - k], np.float32) for k in range(40)}
    moved = {name: vector * [7, 0.01] + 3 for name, vector in vectors.items()}
    first = svm.train(vectors, genres, GENRES).predict(probe)
    second = svm.train(moved, genres, GENRES).predict({name: vector * [7, 0.01] + 3 for name, vector in probe.items()})
    assert first == second


def test_a_saved_model_decides_as_before(tracks, tmp_path):
    vectors, genres = tracks
    model = svm.train(vectors, genres, GENRES)
    model.pooling = Pooling(0.7, fuse=True)
    model.save(tmp_path)
    loaded = svm.SegmentSvm.load(tmp_path)
    assert (loaded.genres, loaded.dim, loaded.pooling) == (GENRES, 2, Pooling(0.7, fuse=True))
    assert loaded.predict(vectors) == model.predict(vectors)


@pytest.mark.parametrize("n", [2, 5])
def test_scores_agree_with_scikit_learn_and_their_largest_decides(n):
    x, y = make_blobs(120, 3, centers=n, cluster_std=3, random_state=5)
    names = [f"t{k}" for k in range(len(x))]
    genres = [f"g{k}" for k in range(n)]
    model = svm.train(dict(zip(names, x, strict=True)), {t: genres[k] for t, k in zip(names, y, strict=True)}, genres)
    scores = model.scores(dict(zip(names, x, strict=True)))
    tie_breaking = clone(model.pipeline).set_params(svc__break_ties=n > 2).fit(x, y)
    decided = {name: genres[k] for name, k in zip(names, tie_breaking.predict(x), strict=True)}
    assert model.predict(dict(zip(names, x, strict=True))) == decided
    assert decided == {name: max(of, key=of.get) for name, of in scores.items()}
    assert all(set(of) == set(genres) for of in scores.values())


def test_a_genre_without_tracks_has_no_score(tracks):
    vectors, genres = tracks
    model = svm.train(vectors, genres, ["blues", *GENRES])
    assert model.predict(vectors) == genres
    assert set(model.scores(vectors)["t00"]) == set(GENRES)


def test_another_dimension_is_refused(tracks):
    with pytest.raises(ModelError, match="song: segment vector of 3 numbers, but the SVM was trained on 2"):
        svm.train(*tracks, GENRES).predict({"song": np.zeros(3, np.float32)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda vectors, genres: genres.pop("t03"), "t03: has a segment vector but no line in utt2genre"),
        (lambda vectors, genres: genres.update(t03="polka"), "t03: unknown genre 'polka'"),
        (lambda vectors, genres: vectors.update(t03=np.zeros(5)), "t03: segment vector of 5 numbers"),
        (lambda vectors, genres: genres.update(dict.fromkeys(genres, "rock")), "two genres or more"),
    ],
)
def test_unusable_training_data_is_named(tracks, change, said):
    change(*tracks)
    with pytest.raises(DataError, match=said):
        svm.train(*tracks, GENRES)


def test_a_missing_or_damaged_model_is_said(tmp_path):
    with pytest.raises(DataError, match="train-svm"):
        svm.SegmentSvm.load(tmp_path)
    (tmp_path / "genres").write_text("jazz\nrock\n")
    (tmp_path / "svm.skops").write_bytes(b"\x80\x04not a zip")
    with pytest.raises(FormatError, match=r"svm\.skops"):
        svm.SegmentSvm.load(tmp_path)
    with zipfile.ZipFile(tmp_path / "svm.skops", "w") as archive:
        archive.writestr("schema.json", "{}")
    with pytest.raises(FormatError, match=r"svm\.skops"):
        svm.SegmentSvm.load(tmp_path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_a_model_that_could_run_code_is_not_loaded(tmp_path):
    (tmp_path / "genres").write_text("jazz\nrock\n")
    (tmp_path / "svm.skops").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError):
        svm.SegmentSvm.load(tmp_path)
    skops.io.dump(FunctionTransformer(pytest.fail), tmp_path / "svm.skops")
    with pytest.raises(FormatError, match="types"):
        svm.SegmentSvm.load(tmp_path)


# Choosing k and C -----------------------------------------------------------------------------------------------------


@pytest.fixture
def training():
    """Posteriors of two genres that only the share of frames above 0.6 tells apart, of six artists."""
    rng = np.random.default_rng(4)
    few = np.repeat([0.69, 0.59], [10, 90])  # of the same mean as the next, and both within 0.5 and 0.7
    many = np.repeat([0.65, 0.55], [50, 50])
    posteriors = {}
    for k in range(36):
        p = np.concatenate([many if k % 2 else few, np.repeat([0.05, 0.95], rng.integers(1, 20, 2))])
        posteriors[f"a{k // 6}-t{k:02}"] = np.stack([p, 1 - p], axis=1).astype(np.float32)
    names = sorted(posteriors)
    genres = {name: GENRES[int(name[-2:]) % 2] for name in names}
    return DataDir(Path("train"), utt2spk={name: name[:2] for name in names}, utt2genre=genres), posteriors


def test_selection_counts_what_scikit_learn_counts_with_whole_artists_held_out(training):
    data, posteriors = training
    choices = {(c.threshold, c.c): c.correct for c in svm.select(data, posteriors, folds=6)}
    assert set(choices) == {(k, c) for k in svm.THRESHOLDS for c in svm.PENALTIES}
    labels, artists = list(data.utt2genre.values()), list(data.utt2spk.values())
    for k, c in ((0.9, 1.0), (0.6, 0.01)):
        x = np.stack([pool(posteriors[name], k) for name in data.utterances])
        pipeline = svm.train(dict(zip(data.utterances, x, strict=True)), data.utt2genre, GENRES, c).pipeline
        rates = cross_val_score(pipeline, x, labels, groups=artists, cv=LeaveOneGroupOut())
        assert choices[k, c] == round(6 * rates.sum())  # six tracks an artist


def test_the_threshold_that_tells_the_genres_apart_is_found_and_written_as_options(training):
    best = max(svm.select(*training), key=lambda choice: choice.correct)
    assert best.threshold == 0.6
    options = tomllib.loads(best.as_toml())
    assert options == {"pool-segments": {"threshold": 0.6}, "train-svm": {"c": best.c}}


def test_among_equals_the_fixed_values_are_kept():
    names = [f"a{k}-t" for k in range(12)]
    sure = {name: np.tile(np.float32([[1, 0], [0, 1]][k % 2]), (5, 1)) for k, name in enumerate(names)}
    data = DataDir(
        Path("train"), utt2spk={n: n[:-2] for n in names}, utt2genre={n: GENRES[k % 2] for k, n in enumerate(names)}
    )
    best = max(svm.select(data, sure, folds=3), key=lambda choice: choice.correct)
    assert (best.threshold, best.c, best.correct, best.total) == (0.9, 1.0, 12, 12)
