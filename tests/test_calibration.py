"""Calibration: probabilities are those that right decisions have; the decision stays the same."""

import json
import shutil

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from lstmgenre import bundle, packing
from lstmgenre.calibration import Calibration, HeldOut, calibrate, expected_error, fit_slope
from lstmgenre.scoring import Report
from lstmgenre.selection import SYSTEMS, Selection, System, select, try_out, variants
from tests.systems import GENRES, decisions, evidence

pytestmark = pytest.mark.usefixtures("fewer_variants")


def drawn(slope, tracks=4000, genres=4, seed=1):
    """Tracks whose genres are drawn by the softmax of their scores times a slope."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(tracks, genres))
    edges = softmax(slope * scores, axis=1).cumsum(axis=1)
    return HeldOut(scores, np.minimum((edges < rng.random((tracks, 1))).sum(axis=1), genres - 1))


@pytest.mark.parametrize("slope", [0.3, 1, 3])
def test_the_slope_that_genres_were_drawn_by_is_found(slope):
    folds = [drawn(slope, seed=seed) for seed in range(3)]
    found = calibrate(folds)
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.error < 0.03
    assert found.tracks == 12000


def test_of_two_genres_it_is_logistic_regression():
    fold = drawn(2.0, genres=2)
    theirs = LogisticRegression(fit_intercept=False, C=1e9).fit(fold.scores[:, 1:] - fold.scores[:, :1], fold.truth)
    assert fit_slope([fold]) == pytest.approx(theirs.coef_.item(), rel=0.01)


def test_a_few_tracks_that_are_all_right_make_nobody_certain():
    few = [HeldOut(np.eye(3), np.arange(3))] * 2
    found = calibrate(few).probabilities({"a": 1.0, "b": 0.0, "c": 0.0})
    assert 0.6 < found["a"] < 0.95


def test_probabilities_sum_to_one_and_keep_the_order_and_the_decision():
    scores = {"a": 2.3, "b": -0.3, "c": 1.0}
    found = Calibration(1.7, 0.1, 9).probabilities(scores)
    assert list(found) == list(scores)
    assert sum(found.values()) == pytest.approx(1)
    assert sorted(found, key=found.get) == sorted(scores, key=scores.get)
    np.testing.assert_allclose([*found.values()], softmax(1.7 * np.array([*scores.values()])))


def test_the_expected_error():
    certain = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([1, 1, 1, 0, 1, 0], bool)
    assert expected_error(certain, right) == pytest.approx((4 * 0.2 + 2 * 0.05) / 6)
    assert expected_error(np.ones(5), np.ones(5, bool)) == 0


def test_a_bundle_tells_probabilities_where_they_are_known_of_its_very_system(trained, packed, tmp_path):
    system = bundle.Bundle.load(packed)
    song = next(trained.glob("low *.wav"))
    assert system.predict(song).probabilities is None
    told = json.loads((packed / "system.json").read_text())
    told["calibration"] = {"slope": 2.0, "error": 0.1, "tracks": 18}
    (packed / "system.json").write_text(json.dumps(told))
    before, after = system.predict(song), bundle.Bundle.load(packed).predict(song)
    assert (after.genre, after.scores) == (before.genre, before.scores)
    assert after.certainty == max(after.probabilities.values()) == after.probabilities[after.genre]


def test_what_is_calibrated_on_are_the_scores_that_cross_validation_decided_by(tmp_path):
    known = evidence(means=1.0, frames=1.0)
    selected = select(known, list(try_out(known, variants())))
    assert set(selected.calibrations) == set(SYSTEMS)
    for name, system in selected.best.items():
        folds = known.held_out(system)
        decided = {
            u: known.genres[k]
            for fold, of in zip(known.folds, folds, strict=True)
            for u, k in zip(fold, of.scores.argmax(axis=1), strict=True)
        }
        assert decided == selected.scores.tracks[name].predictions
        assert [known.genres[k] for of in folds for k in of.truth] == [
            known.utt2genre[u] for f in known.folds for u in f
        ]
        assert selected.calibrations[name].tracks == len(known.utt2genre)
    selected.save(tmp_path)
    assert Selection.load(tmp_path).calibrations == selected.calibrations


@pytest.mark.parametrize(("c", "told"), [(1.0, True), (10.0, False)])
def test_a_calibration_is_packed_with_the_svm_that_it_is_of(trained, tmp_path, c, told):
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    scores = Report(GENRES)
    for name in ("fseg", "vote", "choice"):
        scores.add_tracks(name, *decisions(7))
    best = {"fseg": System("fseg", 0.6, c), "vote": System("vote")}
    calibrations = {name: Calibration(1.5, 0.125, 12) for name in best}
    Selection(best["fseg"], best, scores, 3, calibrations=calibrations).save(exp)
    for name, expected in (("fseg", told), ("vote", True)):
        packing.pack([exp], name, tmp_path / "out")
        assert (bundle.Bundle.load(tmp_path / "out").calibration == calibrations[name]) is expected
        card = " ".join((tmp_path / "out/README.md").read_text().split())
        assert ("calibration error in cross-validation is 12.5%" in card) is expected


def test_min_probability_on_the_command_line(trained, packed, command, here):
    told = json.loads((packed / "system.json").read_text())
    told["calibration"] = {"slope": 0.5, "error": 0.1, "tracks": 18}
    (packed / "system.json").write_text(json.dumps(told))
    song = next(trained.glob("low *.wav"))
    (certain,) = json.loads(command(["predict", "bundle", str(song), "--json"]).stdout)
    assert certain["probability"] == max(certain["probabilities"].values())
    for least, genre in ((certain["probability"] - 0.01, certain["genre"]), (certain["probability"] + 0.01, "unknown")):
        line = ["predict", "bundle", str(song), f"--min-probability={least}"]
        assert json.loads(command([*line, "--json"]).stdout) == [certain | {"genre": genre}]
        assert command(line).stdout.startswith(f"{song}: {genre} ({certain['genre']} ")
