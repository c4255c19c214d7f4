"""Which system wins, and what that is worth: scikit-learn's counts, and laws of an honest choice."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lstmgenre import selection, svm
from lstmgenre.errors import DataError, FormatError
from lstmgenre.segments import Pooling, pool
from lstmgenre.selection import CHOICE, Evidence, Selection, System, select, try_out, variants
from tests.systems import FOLDS, GENRES, evidence

pytestmark = pytest.mark.usefixtures("fewer_variants")


def chosen(known, **options):
    return select(known, list(try_out(known, variants())), **options)


class UnitVariance(TransformerMixin, BaseEstimator):
    def fit(self, x, y=None):
        self.total_ = x.var(axis=0).sum()
        return self

    def transform(self, x):
        return x / np.sqrt(self.total_)


def scikit_learns():
    return make_pipeline(StandardScaler(), UnitVariance(), SVC(kernel="linear", break_ties=True))


def arrays(known, vector_of):
    names = [name for fold in known.folds for name in fold]
    fold_of = [k for k, fold in enumerate(known.folds) for _ in fold]
    x = np.stack([vector_of(name) for name in names]).astype(np.float64)
    return names, x, np.array([known.utt2genre[name] for name in names]), np.array(fold_of)


@pytest.mark.parametrize(("name", "k"), [("scat", None), ("lseg", 0.9), ("lseg", 0.5)])
@pytest.mark.parametrize("c", [0.1, 10.0])
def test_an_svms_decisions_are_those_of_scikit_learns_cross_validation(name, k, c):
    known = evidence(means=0.7, frames=0.7)
    names, x, y, fold_of = arrays(known, lambda u: known.means[u] if k is None else pool(known.posteriors[u], k))
    theirs = cross_val_predict(scikit_learns().set_params(svc__C=c), x, y, cv=PredefinedSplit(fold_of))
    (trial,) = [t for t in try_out(known, variants([name])) if t.system == System(name, k, c)]
    ours = {u: genre for fold in range(FOLDS) for u, genre in trial.on(fold).items()}
    assert [ours[u] for u in names] == list(theirs)


def test_the_worth_of_a_choice_of_c_is_scikit_learns_nested_cross_validation():
    known = evidence(means=0.5)
    names, x, y, fold_of = arrays(known, known.means.__getitem__)
    expected = {}
    for fold in range(FOLDS):
        rest = fold_of != fold
        search = GridSearchCV(scikit_learns(), {"svc__C": svm.PENALTIES}, cv=PredefinedSplit(fold_of[rest]))
        search.fit(x[rest], y[rest])  # folds are of one size, so the mean of their accuracies counts tracks
        expected |= dict(zip(np.array(names)[~rest], search.predict(x[~rest]), strict=True))
    worth = select(known, list(try_out(known, variants(["scat"])))).worth
    assert worth.predictions == expected
    assert 0 < worth.accuracy.correct < 36


def test_where_systems_are_alike_the_simpler_one_wins():
    sure = chosen(evidence(means=50, frames=50))
    assert {name: score.accuracy.correct for name, score in sure.scores.tracks.items()} == dict.fromkeys(
        [*selection.SYSTEMS, CHOICE], 36
    )
    assert (sure.chosen, sure.margin) == (System("scat", None, 1.0), 0)
    blind = evidence(frames=50)
    assert chosen(blind).chosen == System("vote")
    assert selection.SYSTEMS == ("scat", "vote", "lseg", "fseg")


def test_what_the_posteriors_tell_and_the_vote_does_not_goes_to_an_svm():
    known = evidence(frames=50)
    turned = {name: np.roll(frames, 1, axis=1) for name, frames in known.posteriors.items()}
    turned = Evidence(GENRES, known.utt2genre, known.folds, known.means, turned)
    outcome = chosen(turned)
    assert outcome.chosen.name == "lseg"
    assert outcome.scores.tracks["vote"].accuracy.correct == 0
    assert outcome.margin == 36 - max(outcome.scores.tracks[name].accuracy.correct for name in ("scat", "vote", "fseg"))
    assert outcome.worth.accuracy.correct == 36


def test_what_a_choice_is_worth_on_a_fold_rests_on_nothing_of_that_fold():
    known = evidence(means=0.4, frames=0.4)
    before = chosen(known).worth.predictions
    for fold in range(FOLDS):
        turned = {u: GENRES[GENRES.index(known.utt2genre[u]) - 1] for u in known.folds[fold]}
        lied = Evidence(GENRES, {**known.utt2genre, **turned}, known.folds, known.means, known.posteriors)
        after = chosen(lied)
        assert {u: after.worth.predictions[u] for u in known.folds[fold]} == {u: before[u] for u in known.folds[fold]}


def test_on_noise_the_winner_flatters_and_its_worth_does_not():
    outcomes = [chosen(evidence(seed=seed)) for seed in range(6)]
    winners = [outcome.scores.tracks[outcome.chosen.name].accuracy.rate for outcome in outcomes]
    worths = [outcome.worth.accuracy.rate for outcome in outcomes]
    assert np.mean(winners) > np.mean(worths) + 0.05
    assert abs(np.mean(worths) - 1 / 3) < 0.08


def test_a_system_that_is_asked_for_is_taken_with_its_best_variant_and_its_own_worth():
    known = evidence(means=50, frames=0.5)
    outcome = chosen(known, asked_for="vote")
    assert (outcome.chosen, outcome.asked_for) == (System("vote"), True)
    assert outcome.worth.predictions == known.votes
    assert outcome.margin == outcome.worth.accuracy.correct - 36
    with pytest.raises(DataError, match="hmm is no system: there are scat, vote, lseg, fseg"):
        chosen(known, asked_for="hmm")


@pytest.mark.parametrize("name", ["scat", "lseg", "fseg"])
def test_the_svm_of_the_winner_says_how_its_vectors_are_made(name):
    known = evidence(means=1, frames=1)
    system = System(name, None if name == "scat" else 0.7, 10.0)
    model = known.fit(system)
    assert (model.dim, model.c) == ({"scat": 6, "lseg": 12, "fseg": 18}[name], 10.0)
    assert (
        model.pooling
        == {
            "scat": Pooling(None, fuse=True),
            "lseg": Pooling(0.7, fuse=False),
            "fseg": Pooling(0.7, fuse=True),
        }[name]
    )


def test_two_folds_are_too_few_to_choose_and_to_say_what_it_is_worth():
    known = evidence()
    halves = Evidence(GENRES, known.utt2genre, known.folds[:2], {}, {})
    with pytest.raises(DataError, match=r"2 folds: .* add artists"):
        next(try_out(halves, variants()))


def test_a_saved_selection_is_the_same_and_a_damaged_one_an_error(tmp_path):
    outcome = chosen(evidence(means=0.5, frames=0.5))
    outcome.save(tmp_path)
    loaded = Selection.load(tmp_path)
    assert (loaded.chosen, loaded.best, loaded.folds) == (outcome.chosen, outcome.best, FOLDS)
    assert loaded.worth.predictions == outcome.worth.predictions
    fields = json.loads((tmp_path / selection.NAME).read_text())
    for change in ({"chosen": "x"}, {"best": {}}, {"best": {"scat": {"nam": 1}}}, {"scores": None}, {"folds": "x"}):
        (tmp_path / selection.NAME).write_text(json.dumps(fields | change))
        with pytest.raises(FormatError, match=r"selection\.json: damaged"):
            Selection.load(tmp_path)
