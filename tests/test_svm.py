"""The segment classifier: laws of a linear SVM, and a model file that can hold no code."""

import pickle
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from lstmgenre import svm
from lstmgenre.errors import DataError, FormatError, ModelError

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
    model.save(tmp_path)
    loaded = svm.SegmentSvm.load(tmp_path)
    assert (loaded.genres, loaded.dim) == (GENRES, 2)
    assert loaded.predict(vectors) == model.predict(vectors)


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
