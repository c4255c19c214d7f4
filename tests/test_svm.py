"""The segment classifier: scikit-learn's decisions, laws of a linear SVM, and a model file that can hold no code."""

import json
import pickle
import tomllib
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_blobs
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lstmgenre import datadir, svm
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
    model = svm.train(vectors, genres, GENRES, c=0.1)
    model.pooling = Pooling(0.7, fuse=True)
    model.save(tmp_path)
    loaded = svm.SegmentSvm.load(tmp_path)
    assert (loaded.genres, loaded.dim, loaded.c, loaded.pooling) == (GENRES, 2, 0.1, Pooling(0.7, fuse=True))
    assert loaded.scores(vectors) == model.scores(vectors)


class UnitVariance(TransformerMixin, BaseEstimator):
    """Of all columns together."""

    def fit(self, x, y=None):
        self.total_ = x.var(axis=0).sum()
        return self

    def transform(self, x):
        return x / np.sqrt(self.total_)


def scikit_learns(c, ties=False):
    return make_pipeline(StandardScaler(), UnitVariance(), SVC(kernel="linear", C=c, break_ties=ties))


def test_each_block_has_a_total_variance_of_one():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 9)) * [1, 10, 1e3, 0, 1, 1, 0.01, 1, 0] + rng.normal(size=9)
    tracks = {f"t{k}": vector for k, vector in enumerate(x)}
    model = svm.train(tracks, {name: GENRES[k % 2] for k, name in enumerate(tracks)}, GENRES, blocks=(4, 2, 3))
    variances = ((x - model.mean) / model.scale).var(axis=0)
    expected = [1 / 3, 1 / 3, 1 / 3, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 0]
    np.testing.assert_allclose(variances, expected, atol=1e-9)


def test_a_block_counts_the_same_however_many_columns_tell_it():
    x, y = make_blobs(80, 5, centers=3, cluster_std=4, random_state=7)
    names = [f"t{k}" for k in range(len(x))]
    genres = dict(zip(names, ("abc"[k] for k in y), strict=True))
    repeated = np.hstack([np.tile(x[:, :3], 40), np.full((80, 7), 3.0), x[:, 3:]])
    once, often = (dict(zip(names, vectors, strict=True)) for vectors in (x, repeated))
    model = svm.train(once, genres, list("abc"), blocks=(3, 2))
    scores = svm.train(often, genres, list("abc"), blocks=(127, 2)).scores(often)
    for name, score in model.scores(once).items():
        assert scores[name] == pytest.approx(score, abs=1e-2)
    one_by_one = make_pipeline(StandardScaler(), SVC(kernel="linear"))
    assert (one_by_one.fit(x, y).predict(x) != one_by_one.fit(repeated, y).predict(repeated)).any()


def test_a_model_that_learnt_from_columns_scaled_one_by_one_decides_as_it_did(tmp_path):
    x, y = make_blobs(60, 4, centers=3, cluster_std=4, random_state=3)
    scaler = StandardScaler().fit(x)
    theirs = SVC(kernel="linear", break_ties=True).fit(scaler.transform(x), y)
    fields = {"genres": list("abc"), "mean": scaler.mean_, "scale": scaler.scale_, "planes": theirs.coef_}
    fields |= {"offsets": theirs.intercept_, "c": 1.0, "pooling": {"threshold": 0.9, "fuse": False}}
    (tmp_path / svm.NAME).write_text(json.dumps(fields, default=np.ndarray.tolist))
    decisions = svm.SegmentSvm.load(tmp_path).predict({f"t{k:02}": vector for k, vector in enumerate(x)})
    assert list(decisions.values()) == ["abc"[k] for k in theirs.predict(scaler.transform(x))]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_scores_agree_with_scikit_learn_and_their_largest_decides(n):
    x, y = make_blobs(120, 3, centers=n, cluster_std=3, random_state=5)
    tracks = {f"t{k}": vector for k, vector in enumerate(x)}
    genres = [f"g{k}" for k in range(n)]
    model = svm.train(tracks, {name: genres[k] for name, k in zip(tracks, y, strict=True)}, genres, 0.5)
    theirs = scikit_learns(0.5, ties=n > 2).fit(x, y)
    scores = model.scores(tracks)
    assert model.predict(tracks) == {t: genres[k] for t, k in zip(tracks, theirs.predict(x), strict=True)}
    assert model.predict(tracks) == {name: max(of, key=of.get) for name, of in scores.items()}
    values = np.array([[scores[name][genre] for genre in genres] for name in tracks])
    if n > 2:
        np.testing.assert_allclose(values, theirs.decision_function(x), rtol=1e-9)
    else:  # where scikit-learn gives the distance itself, that is the clearness of the only win
        distance = -theirs.decision_function(x)
        np.testing.assert_allclose(values[:, 0], (distance >= 0) + distance / (3 * (abs(distance) + 1)), rtol=1e-9)


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


def test_up_to_one_track_in_twenty_may_have_no_label(tracks, caplog):
    vectors, genres = tracks
    assert svm.labelled(vectors, genres) == vectors
    assert caplog.text == ""
    del genres["t03"], genres["t07"]  # 2 of 40
    assert svm.labelled(vectors, genres).keys() == genres.keys()
    assert "2 of 40 tracks have a segment vector but no line in utt2genre (t03 is one): left out" in caplog.text
    del genres["t08"]
    with pytest.raises(DataError, match="3 of 40 tracks have a segment vector but no line in utt2genre"):
        svm.labelled(vectors, genres)


@pytest.fixture
def saved(tracks, tmp_path):
    """The fields of svm.json of a model of three genres, and a function that writes them anew and loads that."""
    vectors, genres = tracks
    svm.train(vectors, genres | {"t00": "blues"}, ["blues", *GENRES]).save(tmp_path)

    def load(fields):
        (tmp_path / svm.NAME).write_text(json.dumps(fields))
        return svm.SegmentSvm.load(tmp_path)

    return json.loads((tmp_path / svm.NAME).read_text()), load


def test_a_missing_model_is_said(tmp_path):
    with pytest.raises(DataError, match=r"svm\.json.*train-svm"):
        svm.SegmentSvm.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("genres", ["rock", "jazz", "rock"]),
        ("genres", ["rock", "jazz"]),
        ("genres", "abc"),
        ("genres", [1, 2, 3]),
        ("mean", [0.0]),
        ("mean", [0.0, None]),
        ("mean", 7),
        ("scale", [1.0, 0.0]),
        ("scale", [1.0, float("nan")]),
        ("planes", [[1.0, 2.0]]),
        ("planes", [[1.0, 2.0], [1.0], [3.0, 4.0]]),
        ("offsets", [1.0, 2.0, 10**400]),
        ("offsets", [1.0, 2.0, float("inf")]),
        ("c", -1),
        ("c", float("nan")),
        ("pooling", {"threshold": float("nan"), "fuse": False}),
        ("pooling", {"threshold": 1.5, "fuse": False}),
        ("pooling", {"threshold": True, "fuse": False}),
        ("pooling", {"threshold": 0.9, "fuse": "no"}),
        ("pooling", {"threshold": 0.9}),
        ("pooling", [0.9, False]),
    ],
)
def test_a_damaged_field_is_one_clear_error(saved, field, value):
    fields, load = saved
    assert load(fields).genres == ["blues", *GENRES]
    with pytest.raises(FormatError, match=r"svm\.json: damaged .*train-svm") as caught:
        load(fields | {field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["genres", "mean", "scale", "planes", "offsets", "c", "pooling"])
def test_a_field_that_is_not_there_is_named(saved, field):
    fields, load = saved
    del fields[field]
    with pytest.raises(FormatError, match=field):
        load(fields)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("content", [pickle.dumps(Bomb()), b"", b"null", b"7", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_model_is_not_loaded(tmp_path, content):
    (tmp_path / svm.NAME).write_bytes(content)
    with pytest.raises(FormatError, match=r"svm\.json: damaged"):
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
    assert set(choices) == {(k, c) for k in svm.CANDIDATE_THRESHOLDS for c in svm.PENALTIES}
    labels, artists = list(data.utt2genre.values()), list(data.utt2spk.values())
    for k, c in ((0.9, 1.0), (0.6, 0.01)):
        x = np.stack([pool(posteriors[name], k) for name in data.utterances]).astype(np.float64)
        rates = cross_val_score(scikit_learns(c), x, labels, groups=artists, cv=LeaveOneGroupOut())
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


def test_the_penalty_is_the_one_that_scikit_learn_finds_best_with_whole_artists_held_out():
    rng = np.random.default_rng(8)
    names = [f"a{k // 6}-t{k:02}" for k in range(48)]
    genres = {name: GENRES[k % 2] for k, name in enumerate(names)}
    vectors = {name: rng.normal(size=30) + 0.3 * (k % 2) for k, name in enumerate(names)}
    data = DataDir(Path("train"), utt2spk={name: name[:2] for name in names}, utt2genre=genres)
    x, labels, artists = np.stack(list(vectors.values())), list(genres.values()), [name[:2] for name in names]
    rates = {
        c: cross_val_score(scikit_learns(c), x, labels, groups=artists, cv=LeaveOneGroupOut()).mean()
        for c in svm.PENALTIES
    }
    assert len(set(rates.values())) > 2
    assert svm.select_penalty(data, vectors, folds=8) == max(svm.PENALTIES, key=lambda c: round(48 * rates[c]))


@pytest.mark.parametrize(("artists", "expected"), [(2, 2), (3, 3), (9, 5)])
def test_of_few_artists_fewer_folds_choose_the_penalty(artists, expected, monkeypatch):
    names = [f"a{k // 2 % artists}-{k:02}" for k in range(18)]
    vectors = {name: np.array([k % 2, k], np.float32) for k, name in enumerate(names)}
    genres = {name: GENRES[k % 2] for k, name in enumerate(names)}
    seen = []
    folds = datadir.folds
    monkeypatch.setattr(datadir, "folds", lambda data, n, seed: seen.append(n) or folds(data, n, seed))
    data = DataDir(Path("train"), utt2spk={name: name[:2] for name in names}, utt2genre=genres)
    assert svm.select_penalty(data, vectors) in svm.PENALTIES
    assert seen[-1] == expected
