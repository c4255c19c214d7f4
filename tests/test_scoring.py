"""Scores against hand-made cases, laws, and scikit-learn's metrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix

from lstmgenre.errors import DataError
from lstmgenre.scoring import MAJORITY_VOTE, Report, majority_vote

GENRES = ["classical", "rock", "world"]
labels = st.lists(st.tuples(st.sampled_from(GENRES), st.sampled_from(GENRES)), min_size=1, max_size=60)


def one_hot(classes, n=3):
    return np.eye(n, dtype=np.float32)[np.asarray(classes)]


@pytest.mark.parametrize(
    ("posteriors", "winner"),
    [
        (one_hot([1, 1, 0]), 1),
        # Frames decide, not probabilities: two weak frames outvote a sure one.
        (np.array([[0.34, 0.33, 0.33], [0.34, 0.33, 0.33], [0.0, 0.0, 1.0]], np.float32), 0),
        # A tie goes to the larger mean posterior ...
        (np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0]], np.float32), 1),
        # ... among the tied only: class 2 has the largest mean and no vote.
        (np.array([[0.51, 0.0, 0.49], [0.0, 0.51, 0.49]], np.float32), 0),
    ],
)
def test_majority_vote_by_hand(posteriors, winner):
    assert majority_vote(posteriors) == winner


@given(st.lists(st.integers(0, 2), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_majority_vote_wins_as_many_frames_as_any_and_ignores_order(classes, random):
    winner = majority_vote(one_hot(classes))
    assert classes.count(winner) == max(classes.count(k) for k in range(3))
    assert majority_vote(one_hot(random.sample(classes, len(classes)))) == winner


@given(labels)
def test_track_scores_equal_scikit_learns(pairs):
    truth = {f"t{k:02}": t for k, (t, _) in enumerate(pairs)}
    predicted = {f"t{k:02}": p for k, (_, p) in enumerate(pairs)}
    report = Report(GENRES)
    report.add_tracks("svm", predicted, truth)
    score = report.tracks["svm"]
    expected = confusion_matrix([t for t, _ in pairs], [p for _, p in pairs], labels=GENRES)
    np.testing.assert_array_equal(score.confusion, expected)
    assert score.accuracy.rate == pytest.approx(accuracy_score([t for t, _ in pairs], [p for _, p in pairs]))


def test_frame_accuracy_counts_frames_and_segment_accuracy_tracks():
    report = Report(GENRES)
    report.add_posteriors(
        [("a", one_hot([0, 0, 1])), ("b", one_hot([1])), ("c", one_hot([0, 2, 2, 1, 0, 0]))],
        {"a": "classical", "b": "rock", "c": "world"},
    )
    assert (report.frames.correct, report.frames.total) == (5, 10)
    assert report.tracks[MAJORITY_VOTE].accuracy.as_dict() == {"accuracy": 2 / 3, "correct": 2, "total": 3}
    assert report.tracks[MAJORITY_VOTE].predictions == {"a": "classical", "b": "rock", "c": "classical"}
    assert "50.00%" in report.as_text()


def test_perfect_posteriors_score_one():
    report = Report(GENRES)
    report.add_posteriors([(g, one_hot([k] * 4)) for k, g in enumerate(GENRES)], {g: g for g in GENRES})
    assert report.frames.rate == report.tracks[MAJORITY_VOTE].accuracy.rate == 1


@pytest.mark.parametrize(
    ("posteriors", "utt2genre", "said"),
    [
        (one_hot([0]), {}, "t: has no line in utt2genre"),
        (one_hot([0]), {"t": "polka"}, "t: unknown genre 'polka'"),
        (one_hot([0], 4), {"t": "rock"}, "t: posteriors over 4 classes"),
    ],
)
def test_what_cannot_be_scored_is_said(posteriors, utt2genre, said):
    with pytest.raises(DataError, match=said):
        Report(GENRES).add_posteriors([("t", posteriors)], utt2genre)


def test_tracks_that_were_not_scored_are_named():
    report = Report(GENRES)
    report.add_tracks("svm", {"a": "rock"}, {"a": "rock", "b": "rock"})
    assert report.missing({"a": "rock", "b": "rock"}) == {"svm": ["b"]}
