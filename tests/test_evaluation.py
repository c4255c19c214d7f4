"""An own statistic and classifier: the decisions are scikit-learn's, and stand in the report with the others."""

import csv

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lstmgenre
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError

GENRES = ["ambient", "jazz", "rock"]


def deviation_and_median(posteriors):
    return np.concatenate([posteriors.std(axis=0), np.median(posteriors, axis=0)])


@pytest.fixture
def tracks(here):
    """data/train and data/test of 30 and 24 tracks, and POSTERIORS of each; a genre is in how they vary, not in their
    mean alone."""
    rng = np.random.default_rng(4)
    for split, count in (("train", 30), ("test", 24)):
        data = DataDir(here / "data" / split)
        with lstmgenre.TableWriter(f"ark,scp:{split}.ark,{split}.scp") as table:
            for k in range(count):
                name, genre = f"{split}-{k:02}", k % 3
                strength = rng.normal(size=(30, 3)) * (0.3, 1.0, 2.5)[genre] + 0.3 * np.eye(3)[genre]
                table.write(name, (np.exp(strength) / np.exp(strength).sum(axis=1, keepdims=True)).astype(np.float32))
                data.utt2genre[name], data.utt2spk[name] = GENRES[genre], name
        data.write()
    return {split: (dict(lstmgenre.read_table(f"scp:{split}.scp")), genres_of(split)) for split in ("train", "test")}


def genres_of(split):
    return lstmgenre.tables.read_map(f"data/{split}/utt2genre")


def test_an_own_pipeline_is_scored_and_stands_in_the_report_with_the_others(tracks, command, here):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    score = lstmgenre.evaluate(tracks["train"], tracks["test"], deviation_and_median, pipeline, "exp own.txt")

    x, y = ([deviation_and_median(m) for m in of[0].values()] for of in tracks.values())
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, list(tracks["train"][1].values()))
    assert score.predictions == dict(zip(tracks["test"][0], theirs.predict(y), strict=True))
    assert score.accuracy.rate == theirs.score(y, list(tracks["test"][1].values()))
    assert score.accuracy.correct > 12
    assert {type(genre) for genre in score.predictions.values()} == {str}

    done = command(["score", "data/test", "--decisions", "exp own.txt", "--post", "scp:test.scp"])
    assert done.returncode == 0, done.stderr
    assert f"({score.accuracy.correct} of 24)" in next(
        line for line in done.stdout.splitlines() if line.startswith("exp own")
    )
    assert command("score data/test --post scp:test.scp --out exp/vote/test/score.json").returncode == 0
    done = command(["score", "data/test", "--decisions", "exp own.txt", "--out", "exp/deviation/test/score.json"])
    assert done.returncode == 0, done.stderr
    assert command("report exp exp/report").returncode == 0
    vote = {u: GENRES[k] for u, m in tracks["test"][0].items() for k in [int(stats.mode(m.argmax(axis=1)).mode)]}
    truth = tracks["test"][1]
    right = [(score.predictions[u] == genre, vote[u] == genre) for u, genre in truth.items()]
    differing = [mine for mine, other in right if mine != other]
    (test,) = csv.DictReader((here / "exp/report/mcnemar.csv").open())
    assert {test["first"], test["second"]} == {"deviation", "vote"}
    assert float(test["p"]) == pytest.approx(stats.binomtest(sum(differing), len(differing)).pvalue)
    assert "deviation" in (here / "exp/report/RESULTS.md").read_text()


def test_tables_are_read_as_they_come_and_what_has_no_genre_has_no_part(tracks, caplog):
    asked = []

    class Listener(DummyClassifier):
        def fit(self, x, y):
            asked.append((x.shape, y.tolist()))
            return super().fit(x, y)

    some = {u: genre for u, genre in tracks["train"][1].items() if u < "train-10"}
    train = lstmgenre.read_table("scp:train.scp"), some | {"gone": "rock"}
    test = lstmgenre.read_table("scp:test.scp"), tracks["test"][1]
    score = lstmgenre.evaluate(train, test, lambda m: m.mean(axis=0), Listener())
    assert asked == [((10, 3), list(some.values()))]
    assert set(score.predictions) == set(tracks["test"][1])
    assert score.accuracy.correct == 8
    assert [record.getMessage() for record in caplog.records] == ["1 of 11 tracks have no posteriors, gone among them"]


class Says:
    def __init__(self, *said):
        self.said = said

    def fit(self, x, y):
        pass

    def predict(self, x):
        return self.said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"statistic": lambda m: m}, "train-00: the statistic is no vector"),
        ({"statistic": lambda m: m.mean()}, "train-00: the statistic is no vector"),
        ({"statistic": lambda m: [np.nan]}, "train-00: the statistic is no vector"),
        ({"statistic": lambda m: ["high"]}, "train-00: the statistic is no vector"),
        ({"statistic": lambda m: None}, "train-00: the statistic is no vector"),
        ({"statistic": lambda m: m[:, 0][: 20 + int(m[0, 0] > 0.3)]}, "more numbers for some"),
        ({"test": ({}, {"test-00": "jazz"})}, "no track has posteriors and a genre"),
        ({"test": ({"test-00": np.ones((2, 3))}, {})}, "no track has posteriors and a genre"),
        ({"train": ({}, {})}, "no track has posteriors and a genre"),
        ({"classifier": Says("jazz")}, "1 decisions for 24 tracks"),
        ({"classifier": Says(*["polka"] * 24)}, "the classifier says 'polka', which is not among ambient, jazz, rock"),
        ({"classifier": Says(*range(24))}, "the classifier says '0', which is not among"),
    ],
)
def test_what_cannot_be_decided_on_is_one_clear_error(tracks, change, said, here):
    given = {**tracks, "statistic": lambda m: m.mean(axis=0), "classifier": Says(*["jazz"] * 24), **change}
    with pytest.raises(DataError, match=said):
        lstmgenre.evaluate(**given, decisions="own.txt")
    assert not (here / "own.txt").exists()


def test_a_track_that_is_learnt_from_is_not_tested_on(tracks):
    with pytest.raises(DataError, match="train-00: is to be learnt from and tested on"):
        lstmgenre.evaluate(tracks["train"], tracks["train"], lambda m: m.mean(axis=0), DummyClassifier())
