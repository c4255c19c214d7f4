"""Segment features against hand-made cases and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstmgenre.errors import DataError, FormatError
from lstmgenre.segments import Pooling, mean_vector, pool, pool_all
from lstmgenre.tables import TableWriter
from lstmgenre.tables.records import write_record


def posteriors():
    shapes = st.tuples(st.integers(1, 40), st.integers(2, 7))
    raw = shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-30, 30)))
    return raw.map(lambda x: (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)).astype(np.float32))


def test_statistics_by_hand():
    track = np.array([[0.95, 0.05], [0.75, 0.25], [0.90, 0.10], [0.00, 1.00]], dtype=np.float32)
    expected = [0.95, 1.00, 0.00, 0.05, 0.65, 0.35, 0.25, 0.25]  # max | min | mean | share above 0.9, strictly
    np.testing.assert_allclose(pool(track, 0.9), expected, rtol=1e-6)


def test_layout_for_six_genres_is_24_numbers_and_549_fused():
    track = np.full((3, 6), 1 / 6, dtype=np.float32)
    features = np.arange(3 * 525, dtype=np.float32).reshape(3, 525)
    ((name, fused),) = pool_all([("t", track)], features={"t": features})
    assert (name, fused.shape, fused.dtype) == ("t", (549,), np.float32)
    np.testing.assert_array_equal(fused[:525], np.arange(525, 1050))  # the mean of three rows is the middle one
    np.testing.assert_allclose(fused[525:543], 1 / 6, rtol=1e-6)
    np.testing.assert_array_equal(fused[543:], 0)


@given(posteriors(), st.floats(0, 1))
def test_order_statistics_and_shares_obey_their_laws(track, threshold):
    highest, lowest, mean, share = pool(track, threshold).reshape(4, -1)
    assert (lowest <= mean + 1e-6).all()
    assert (mean <= highest + 1e-6).all()
    assert mean.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(share > 0, highest > np.float32(threshold))
    # Frames above k are at most the sum over k (Markov), so their share is at most mean / k.
    assert (share * threshold <= mean + 1e-5).all()


@given(posteriors(), st.randoms(use_true_random=False))
def test_pooling_forgets_the_order_of_frames(track, random):
    shuffled = track[random.sample(range(len(track)), len(track))]
    np.testing.assert_allclose(pool(shuffled), pool(track), rtol=1e-6, atol=1e-7)


@given(posteriors(), st.integers(2, 4))
def test_repeating_a_track_changes_nothing(track, times):
    np.testing.assert_allclose(pool(np.tile(track, (times, 1))), pool(track), rtol=1e-6, atol=1e-7)


def test_the_mean_of_a_long_track_keeps_its_digits():
    # float32 sums over 2**25 equal terms stop growing; a track of hours must not.
    track = np.full((2**21, 2), 0.1, dtype=np.float32)
    np.testing.assert_allclose(mean_vector(track), np.float32(0.1), rtol=1e-7)


@pytest.mark.parametrize(
    ("track", "said"),
    [
        (np.empty((0, 6), np.float32), "no frames"),
        (np.array([[-0.1, -2.3]], np.float32), "outside"),
        (np.array([[3.0, -2.0]], np.float32), "outside"),
        (np.array([[np.nan, 1.0]], np.float32), "outside"),
    ],
)
def test_what_is_no_posterior_is_refused_by_name(track, said):
    with pytest.raises(DataError, match=f"song: .*{said}"):
        list(pool_all([("song", track)]))


def test_fusing_names_the_track_that_lacks_features_or_frames():
    track = np.full((3, 2), 0.5, dtype=np.float32)
    with pytest.raises(DataError, match="song: has posteriors but no features"):
        list(pool_all([("song", track)], features={}))
    with pytest.raises(DataError, match="song: 3 frames of posteriors but 4"):
        list(pool_all([("song", track)], features={"song": np.zeros((4, 5), np.float32)}))


def test_how_vectors_were_pooled_is_found_from_their_archive_or_list(tmp_path):
    archive, script = tmp_path / "lseg.ark", tmp_path / "elsewhere.scp"
    with TableWriter(f"ark,scp:{archive},{script}", "vector") as writer:
        writer.write("song", np.zeros(24, np.float32))
    assert Pooling.of_vectors(f"ark:{archive}") is None
    (tmp_path / "lseg.json").write_text('{"threshold": 0.6, "fuse": false}')  # as it was once
    assert Pooling.of_vectors(f"ark:{archive}") == Pooling(0.6, fuse=False)
    write_record(archive, {"pooling": {"threshold": 0.7, "fuse": True}})
    assert Pooling.of_vectors(f"ark:{archive}") == Pooling.of_vectors(f"scp:{script}") == Pooling(0.7, fuse=True)
    (tmp_path / "lseg.ark.json").write_text('{"archive": "lseg.ark", "pooling": [0.7]}')
    with pytest.raises(FormatError, match=r"lseg\.ark\.json"):
        Pooling.of_vectors(f"scp:{script}")


@pytest.mark.parametrize("stream", ["ark:-", "ark:| cat", "ark:/dev/null"])
def test_nothing_is_known_of_vectors_in_a_stream(stream):
    assert Pooling.of_vectors(stream) is None
