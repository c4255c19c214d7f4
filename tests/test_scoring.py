"""Scores against hand-made cases, laws, scikit-learn's metrics and published intervals."""

import json
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from lstmgenre.documents import decode_json
from lstmgenre.errors import DataError
from lstmgenre.score_json import Score
from lstmgenre.scoring import MAJORITY_VOTE, Accuracy, FrameScore, Report, TrackScore, majority_vote, mcnemar

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
    assert report.frames.accuracy == Accuracy(5, 10)
    assert report.frames.tracks == {"a": (2, 3), "b": (1, 1), "c": (2, 6)}
    assert report.tracks[MAJORITY_VOTE].accuracy.as_dict() == {"accuracy": 2 / 3, "correct": 2, "total": 3}
    assert report.tracks[MAJORITY_VOTE].predictions == {"a": "classical", "b": "rock", "c": "classical"}
    assert "50.00%" in "\n".join(report.as_lines())


def test_perfect_posteriors_score_one():
    report = Report(GENRES)
    report.add_posteriors([(g, one_hot([k] * 4)) for k, g in enumerate(GENRES)], {g: g for g in GENRES})
    assert report.frames.accuracy.rate == report.tracks[MAJORITY_VOTE].accuracy.rate == 1


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


def scored(pairs):
    """A TrackScore of (truth, prediction) pairs."""
    names = [f"t{k:03}" for k in range(len(pairs))]
    return TrackScore(
        GENRES,
        dict(zip(names, (t for t, _ in pairs), strict=True)),
        dict(zip(names, (p for _, p in pairs), strict=True)),
    )


def of_rights(rights):
    return scored([("rock", "rock" if right else "world") for right in rights])


@pytest.mark.parametrize(
    ("correct", "total", "interval"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), Table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        # The paper's 89.71 % of 729 tracks and a full score, by statsmodels 0.14's proportion_confint(method="wilson").
        (654, 729, (0.87294385, 0.91713153)),
        (24, 24, (0.86202380, 1.0)),
    ],
)
def test_track_intervals_are_those_published(correct, total, interval):
    assert Accuracy(correct, total).wilson == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(("only_first", "only_second"), [(2, 8), (5, 5), (13, 41), (0, 1), (0, 0)])
def test_mcnemar_is_twice_the_tail_of_fair_coins(only_first, only_second):
    n = only_first + only_second
    tail = sum(comb(n, k) for k in range(only_first + 1)) / 2**n
    first = of_rights([True] * only_first + [False] * only_second + [True] * 10 + [False] * 3)
    second = of_rights([False] * only_first + [True] * only_second + [True] * 10 + [False] * 3)
    assert mcnemar(first, second) == (only_first, only_second, pytest.approx(min(1, 2 * tail)))
    assert mcnemar(second, first).p == mcnemar(first, second).p


def test_mcnemar_looks_at_the_tracks_that_both_have():
    first, second = of_rights([True, True, True]), of_rights([False])
    assert mcnemar(first, second) == (1, 0, 1.0)


@given(labels)
def test_recalls_equal_scikit_learns(pairs):
    score = scored(pairs)
    truth, predicted = zip(*pairs, strict=True)
    present = sorted(set(truth))
    expected = recall_score(truth, predicted, labels=present, average=None)
    assert {genre: recall.rate for genre, recall in score.recalls.items()} == pytest.approx(
        dict(zip(present, expected, strict=True))
    )
    assert sum(recall.total for recall in score.recalls.values()) == len(pairs)
    assert score.macro_recall == pytest.approx(recall_score(truth, predicted, labels=present, average="macro"))


def test_frame_interval_is_as_wide_as_the_tracks_are_few():
    # Frames of a track that are all right or all wrong are one decision: the interval is the one of 60 tracks, and
    # does not narrow with the number of frames. The normal approximation of 45 in 60 is within a track of either bound.
    tracks = {f"t{k:02}": (100 * (k < 45), 100) for k in range(60)}
    low, high = FrameScore(tracks).interval
    deviation = 1.96 * (0.75 * 0.25 / 60) ** 0.5
    assert (low, high) == (pytest.approx(0.75 - deviation, abs=1 / 60), pytest.approx(0.75 + deviation, abs=1 / 60))
    assert FrameScore({u: (right * 10, n * 10) for u, (right, n) in tracks.items()}).interval == (low, high)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=12))
def test_frame_interval_is_repeatable_and_holds_the_accuracy(counts):
    tracks = {f"t{k}": (min(right, n), n) for k, (right, n) in enumerate(counts)}
    score = FrameScore(tracks)
    low, high = score.interval
    assert 0 <= low <= score.accuracy.rate + 1e-9
    assert score.accuracy.rate - 1e-9 <= high <= 1
    assert FrameScore(tracks).interval == (low, high)


def test_a_report_comes_back_from_json():
    report = Report(GENRES)
    utt2genre = {"a": "classical", "b": "rock", "c": "world"}
    report.add_posteriors([("c", one_hot([0, 2])), ("a", one_hot([0, 0, 1])), ("b", one_hot([1]))], utt2genre)
    report.add_tracks("lseg", {"b": "rock", "c": "rock"}, utt2genre)
    report.add_artists({"a": "x", "b": "y", "c": "z"}, {"t": "y"})
    written = json.dumps(report.as_dict(), allow_nan=False)
    assert decode_json(written.encode(), Score).report().as_dict() == report.as_dict()


def test_tracks_of_known_artists_are_scored_apart():
    truth = dict(zip("abcde", ["rock", "rock", "world", "world", "rock"], strict=True))
    report = Report(GENRES)
    report.add_tracks("svm", truth | {"c": "rock", "e": "world"}, truth)
    assert report.as_dict()["known_artists"] is None
    assert report.by_artists("svm") == {}
    # Of the training set's artists x has made a and b, y has made c; z and w are new.
    report.add_artists(dict(zip("abcde", "xxyzw", strict=True)), {"t1": "x", "t2": "y", "t3": "q"})
    parts = {artists: score.accuracy for artists, score in report.by_artists("svm").items()}
    assert parts == {"known artists": Accuracy(2, 3), "other artists": Accuracy(1, 2)}
    assert report.as_dict()["known_artists"] == ["a", "b", "c"]
    assert report.as_dict()["tracks"]["svm"]["by_artists"]["known artists"]["correct"] == 2
    shown = [line.split() for line in report.as_lines()]
    assert ["known", "artists", "66.67%"] in [words[:3] for words in shown]
    assert ["other", "artists", "50.00%"] in [words[:3] for words in shown]
    assert "3 of 5 tracks are by artists of the training data" in "\n".join(report.as_lines())


@pytest.mark.parametrize(("artists", "known"), [("x", 3), ("q", 0)])
def test_where_all_artists_are_of_one_kind_there_is_nothing_to_part(artists, known):
    truth = dict.fromkeys("abc", "rock")
    report = Report(GENRES)
    report.add_tracks("svm", truth, truth)
    report.add_artists(dict.fromkeys("abc", "x"), {"t": artists})
    assert report.by_artists("svm") == {}
    assert f"{known} of 3 tracks" in "\n".join(report.as_lines())


def test_an_artist_of_the_same_name_as_the_track_is_unknown():
    truth = dict(zip("abcde", ["rock", "rock", "world", "world", "rock"], strict=True))
    report = Report(GENRES)
    report.add_tracks("svm", truth | {"c": "rock"}, truth)
    report.add_artists({"a": "x", "b": "z", "c": "c", "d": "d", "e": "x"}, {"t1": "x", "c": "c", "t2": "t2"})
    parts = {artists: score.accuracy for artists, score in report.by_artists("svm").items()}
    assert parts == {
        "known artists": Accuracy(2, 2),
        "other artists": Accuracy(1, 1),
        "unknown artists": Accuracy(1, 2),
    }
    lines = report.as_lines()
    assert "2 of 5 tracks are by artists of the training data" in lines
    assert "artist unknown of 2 of 5 tracks, and of 2 of the training data: these may share artists" in lines
    assert decode_json(json.dumps(report.as_dict()).encode(), Score).report().as_lines() == report.as_lines()


def test_where_no_artist_is_known_no_number_is_claimed():
    report = Report(GENRES)
    report.add_tracks("svm", dict.fromkeys("abc", "rock"), dict.fromkeys("abc", "rock"))
    report.add_artists(dict(zip("abc", "abc", strict=True)), {"t": "t"})
    assert report.by_artists("svm") == {}
    assert "by artists of the training data" not in "\n".join(report.as_lines())
    assert "artist unknown of 3 of 3 tracks" in "\n".join(report.as_lines())


def test_a_system_is_scored_once():
    report = Report(GENRES)
    report.add_posteriors([("t", np.full((2, len(GENRES)), 1 / len(GENRES)))], {"t": GENRES[0]})
    with pytest.raises(DataError, match="majority vote: two systems of this name"):
        report.add_tracks("majority vote", {"t": GENRES[0]}, {"t": GENRES[0]})


@pytest.mark.parametrize("of", ["--decisions none.txt", "--post ark:none.txt"])
def test_no_decision_is_no_score(command, here, of):
    from lstmgenre.datadir import DataDir

    DataDir(here / "test", utt2genre={"t": "a", "u": "b"}).write()
    (here / "none.txt").write_text("")
    done = command(f"score test {of} --out score.json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no decision to score" in done.stderr
    assert not (here / "score.json").exists()


def test_decisions_from_elsewhere_are_scored_and_compared(command, here):
    from lstmgenre import score_json
    from lstmgenre.datadir import DataDir
    from lstmgenre.report.experiments import read_experiments
    from lstmgenre.report.results import mcnemar_table

    truth = {f"t{k:02}": "ab"[k % 2] for k in range(12)}
    DataDir(here / "test", utt2genre=truth).write()
    for name, wrong in (("mine", 2), ("theirs", 8)):
        lines = [f"{u} {'ba'[k % 2] if k < wrong else genre}\n" for k, (u, genre) in enumerate(truth.items())]
        (here / f"{name}.txt").write_text("".join(lines))
    out = "exp/others/test/score.json"
    done = command(f"score test --decisions mine.txt --decisions theirs.txt --out {out}")
    assert done.returncode == 0
    tracks = score_json.read(here / out).tracks
    assert {name: of.accuracy.correct for name, of in tracks.items()} == {"mine": 10, "theirs": 4}
    (test,) = mcnemar_table(read_experiments(here / "exp", "test")).records
    assert test["p"] == pytest.approx(2 * 0.5**6)  # six tracks that one of them has right, all the same one
    assert {test["first"], test["second"]} == {"others, mine", "others, theirs"}
