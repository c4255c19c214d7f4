"""learn: a run leaves what the single commands would, goes on after a kill, and tests on nothing that it has heard."""

import json
import logging
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

import lstmgenre
from lstmgenre import score_json, selection, svm
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.expdir import History
from lstmgenre.learning import Corpus, Means, Settings, evaluation, learn, networks
from lstmgenre.learning.data import divide
from lstmgenre.nnet1.forward import Forward
from lstmgenre.scoring import majority_vote
from lstmgenre.selection import Selection
from lstmgenre.tables import read_table
from lstmgenre.training.schedule import DecayBest
from lstmgenre.training.streams import StreamOptions

STEPS = {"high": 0.9, "low": 0.1, "middle": 0.3}
TRAINING = StreamOptions(learn_rate=0.01, momentum=0.5, num_streams=2, batch_size=10, targets_delay=1)
SMALL = Settings(hidden=(4,), cell_dim=6, training=TRAINING, schedule=DecayBest(max_iters=2), folds=3)


def write_song(path, genre, seed):
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = np.sin(np.arange(22050) * STEPS[genre] * rng.uniform(0.95, 1.05)) * 0.3
    soundfile.write(path, tone + rng.normal(size=len(tone)) * 0.05, 22050)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Six one-second tones of three genres, of an artist each, and a file that is none."""
    root = tmp_path_factory.mktemp("music")
    for k, genre in enumerate(STEPS):
        for number in range(6):
            write_song(root / genre / f"song {number}.wav", genre, (k, number))
    (root / "low" / "broken.wav").write_text("not audio")
    names = sorted(path.relative_to(root) for path in root.rglob("*.wav"))
    rows = "".join(f"{name},{name.parent.name} {k}\n" for k, name in enumerate(names))
    (root / "manifest.csv").write_text(f"path,artist\n{rows}")
    return root


@pytest.fixture(autouse=True)
def fewer_variants(monkeypatch):
    monkeypatch.setattr(svm, "CANDIDATE_THRESHOLDS", (0.9, 0.5))
    monkeypatch.setattr(svm, "PENALTIES", (1.0, 10.0))


@pytest.fixture(scope="module")
def learnt(music, tmp_path_factory):
    """What a run came to, and where its MODEL and MODEL.work are."""
    root = tmp_path_factory.mktemp("learnt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svm, "CANDIDATE_THRESHOLDS", (0.9, 0.5))
        patch.setattr(svm, "PENALTIES", (1.0, 10.0))
        patch.setattr("lstmgenre.report.figures._save", lambda figure, format: b"")  # test_report looks at pictures
        return learn(Corpus(music), root / "model", root / "model.work", settings=SMALL), root


@pytest.fixture
def no_report(monkeypatch):
    """Its plots take longer than all else."""
    monkeypatch.setattr("lstmgenre.learning.stages.report", lambda exp, split, name: exp / "report")


def content_of(directory):
    """Every file that the result rests on, but those that tell when and where something was done."""
    files = (path for path in directory.rglob("*") if path.is_file() and "log" not in path.parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files if path.suffix not in (".scp", "")}


@pytest.mark.parametrize(("model", "status"), [(".", 2), ("/", 2), ("''", 2), ("taken", 1), ("..", 1)])
def test_whether_a_model_may_be_written_is_told_first(music, here, command, model, status):
    (here / "taken").mkdir()
    (here / "taken" / "mine").write_text("mine")
    before = sorted(here.rglob("*"))
    done = command(f"learn {music} {model}")
    assert (done.returncode, done.stdout) == (status, "")
    assert "Traceback" not in done.stderr
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("model", ["model", "closed/model", "closed/a/b/model", "empty"])
def test_a_place_that_takes_no_model_is_told_first(music, here, command, model, monkeypatch):
    for name in ("closed", "empty"):
        (here / name).mkdir()
    monkeypatch.setattr("lstmgenre.files.directories.os.access", lambda _, mode, **__: not mode & os.W_OK)
    done = command(f"learn {music} {model} --work work")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "nothing can be written in that directory" in done.stderr
    assert sorted(path.name for path in here.rglob("*")) == ["closed", "empty"]


def test_it_says_what_it_learnt_from_and_how_good_it_is(learnt):
    outcome, root = learnt
    assert (len(outcome.train.utterances), outcome.left_out, outcome.test) == (18, 1, None)
    assert outcome.largest.rate == 1 / 3
    assert outcome.selection.worth.accuracy.total == 18
    assert outcome.report.is_file()
    written = Selection.load(root / "model.work/exp/lstm")
    assert (written.chosen, written.worth.accuracy) == (outcome.selection.chosen, outcome.selection.worth.accuracy)


def test_the_bundle_is_the_system_that_was_chosen_and_names_genres(learnt, music):
    outcome, root = learnt
    chosen = outcome.selection.chosen.name
    calibration = outcome.selection.calibrations[chosen]
    told = {"system": chosen, "calibration": msgspec.to_builtins(calibration)}
    assert json.loads((root / "model/system.json").read_text()) == told
    model = lstmgenre.load(root / "model")
    assert model.calibration == calibration
    assert calibration.tracks == 18
    named = [model.predict(path).genre == genre for genre in STEPS for path in music.glob(f"{genre}/song*.wav")]
    assert sum(named) >= 15
    assert "cross-validation on 18 tracks" in (root / "model/README.md").read_text()


def test_no_network_has_heard_the_tracks_that_its_posteriors_are_judged_on(learnt):
    outcome, root = learnt
    exp = root / "model.work/exp/lstm"
    judged = dict(read_table(f"scp:{exp}/folds/post.scp"))
    assert sorted(judged) == DataDir.read(root / "model.work/data/train").utterances
    artists = DataDir.read(root / "model.work/data/train").utt2spk
    seen = set()
    for fold in (1, 2, 3):
        heard = {line.split()[0] for name in ("train", "cv") for line in (exp / f"cf3/{fold}/{name}.scp").open()}
        feats = f"scp:{exp}/cf3/data/{fold}/test/feats.scp"
        for utterance, posteriors in Forward.load(exp / f"cf3/{fold}")(read_table(feats)):
            np.testing.assert_allclose(judged[utterance], posteriors, atol=1e-6)
            assert artists[utterance] not in {artists[other] for other in heard}
            seen.add(utterance)
    assert seen == set(judged)
    votes = {u: sorted(STEPS)[majority_vote(posteriors)] for u, posteriors in judged.items()}
    written = score_json.read(exp / "folds/score.json")
    assert written.tracks["majority vote"].predictions == votes
    assert sorted(written.tracks) == ["choice", "fseg", "lseg", "majority vote"]
    alone = score_json.read(exp.parent / "scat_svm/folds/score.json")
    assert alone.tracks.keys() == {"scat_svm"}
    assert alone.tracks["scat_svm"].predictions == outcome.selection.scores.tracks["scat"].predictions


def test_the_network_that_is_kept_is_that_of_the_lowest_held_out_loss(learnt):
    _, root = learnt
    for exp in (root / "model.work/exp/lstm", *(root / f"model.work/exp/lstm/cf3/{k}" for k in (1, 2, 3))):
        history = History.read(exp)
        best = min(history.epochs, key=lambda epoch: epoch.cv_loss)
        assert history.held_out_loss == best.cv_loss
        assert (exp / "final.nnet").read_bytes() == (exp / best.nnet).read_bytes()


def test_single_commands_go_on_where_it_ended(learnt, command, here):
    _, root = learnt
    shutil.copytree(root / "model.work", "w")
    posteriors = "w/exp/lstm/train/post_cf3.scp"
    for line in (
        "validate-data w/data/train",
        "bundle w/exp/lstm other --svm vote",
        f"select-svm w/data/train scp:{posteriors} chosen.toml --folds 3",
        f"pool-segments scp:{posteriors} ark,scp:seg.ark,seg.scp --config chosen.toml",
        "train-svm w/data/train scp:seg.scp w/exp/lstm/mine",
        "bundle w/exp/lstm mine --svm mine",
    ):
        done = command(line)
        assert done.returncode == 0, done.stderr
    assert lstmgenre.load("mine").svm.dim == 12


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stage", ["train_network", "try_out", "pack"])
def test_a_run_that_was_killed_goes_on_and_ends_alike(learnt, music, tmp_path, monkeypatch, stage, no_report):
    _, root = learnt
    places = {
        "train_network": "lstmgenre.learning.networks.train_network",
        "try_out": "lstmgenre.learning.evaluation.try_out",
        "pack": "lstmgenre.packing.pack",
    }
    calls = []

    def kill(*arguments, **options):
        calls.append(arguments)
        if stage != "train_network" or len(calls) > 2:
            raise Killed
        return trained(*arguments, **options)

    trained = networks.train_network
    with monkeypatch.context() as patch:
        patch.setattr(places[stage], kill)
        with pytest.raises(Killed):
            learn(Corpus(music), tmp_path / "model", tmp_path / "model.work", settings=SMALL)
    again = []
    monkeypatch.setattr(networks, "train_network", lambda job: again.append(job) or trained(job))
    learn(Corpus(music), tmp_path / "model", tmp_path / "model.work", settings=SMALL)
    assert len(again) == (2 if stage == "train_network" else 0)
    expected, found = content_of(root / "model"), content_of(tmp_path / "model")
    expected.pop("README.md"), found.pop("README.md")  # tells where it was made
    assert found == expected


@pytest.mark.system
def test_systems_that_are_tried_out_side_by_side_are_chosen_from_alike(learnt, monkeypatch):
    outcome, root = learnt
    exp = root / "model.work/exp/lstm"
    train = DataDir.read(root / "model.work/data/train")
    folds = [DataDir.read(exp / f"cf3/data/{k}/test").utterances for k in (1, 2, 3)]
    evidence = evaluation.evidence_of(train, folds, exp)
    here = evaluation._trials(evidence, exp, Means())
    monkeypatch.setattr(evaluation, "_WORTH_A_PROCESS", 18)
    counts = []

    @contextmanager
    def progress(description, total, count):
        yield
        counts.append((total, count()))

    beside = evaluation._trials(evidence, exp, Means(2, progress=progress))
    assert beside == here
    assert [trial.system for trial in here] == selection.variants()
    assert counts == [(len(here), len(here))]
    assert selection.select(evidence, beside).chosen == outcome.selection.chosen


def test_a_run_that_is_complete_trains_nothing_again(learnt, music, monkeypatch, no_report):
    outcome, root = learnt
    monkeypatch.setattr(networks, "train_network", lambda job: pytest.fail("trained again"))
    again = learn(Corpus(music), root / "model", root / "model.work", settings=SMALL)
    assert again.selection.worth.accuracy == outcome.selection.worth.accuracy


@pytest.mark.parametrize("change", ["track", "settings"])
def test_of_other_tracks_or_settings_all_is_made_anew(learnt, music, tmp_path, caplog, change, no_report):
    _, root = learnt
    shutil.copytree(root / "model.work", tmp_path / "w")
    more, settings = music, SMALL
    if change == "track":
        more = shutil.copytree(music, tmp_path / "music")
        write_song(more / "low" / "one more.wav", "low", 99)
    else:
        settings = Settings(hidden=(5,), cell_dim=6, training=TRAINING, schedule=DecayBest(max_iters=1), folds=3)
    with caplog.at_level(logging.INFO, logger="lstmgenre"):
        outcome = learn(Corpus(more), tmp_path / "model", tmp_path / "w", settings=settings)
    assert len(outcome.train.utterances) == 18 + (change == "track")
    assert "all are trained anew" in caplog.text
    assert len(History.read(tmp_path / "w/exp/lstm").epochs) == (3 if change == "track" else 2)


def test_an_experiment_of_somebodys_own_is_left_alone(music, tmp_path):
    own = tmp_path / "w/exp/lstm/final.nnet"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(DataError, match=r"learn has not made it: give another --work"):
        learn(Corpus(music), tmp_path / "model", tmp_path / "w", settings=SMALL)
    assert own.read_text() == "mine"
    assert not (tmp_path / "w/data").exists()  # it is told first


def test_a_kill_before_the_first_network_leaves_nothing_in_the_way(music, tmp_path, monkeypatch):
    (tmp_path / "w/exp/lstm").mkdir(parents=True)
    (tmp_path / "w/exp/lstm/.made_from.json.x.tmp").touch()
    monkeypatch.setattr("lstmgenre.learning.stages.prepare", lambda *_: (_ for _ in ()).throw(DataError("goes on")))
    with pytest.raises(DataError, match="goes on"):
        learn(Corpus(music), tmp_path / "model", tmp_path / "w", settings=SMALL)


@pytest.mark.slow
def test_tracks_to_test_on_have_no_part_in_what_is_learnt(music, tmp_path, no_report):
    outcome = learn(Corpus(music, test_fraction=0.3), tmp_path / "model", tmp_path / "w", settings=SMALL, system="fseg")
    train, test = (DataDir.read(tmp_path / "w/data" / name) for name in ("train", "test"))
    assert set(outcome.test.truth) == set(test.utterances)
    assert outcome.selection.worth.accuracy.total == len(train.utterances) == 18 - len(test.utterances)
    assert not set(train.utt2spk.values()) & set(test.utt2spk.values())
    heard = {
        line.split()[0] for scp in (tmp_path / "w/exp").rglob("*.scp") for line in scp.open() if "test" not in scp.parts
    }
    assert not heard & set(test.utterances)
    model = lstmgenre.load(tmp_path / "model")
    assert model.svm.pooling.fuse
    named = {utterance: model.predict(path).genre for utterance, path in test.wav_scp.items()}
    assert outcome.test_score.predictions == named
    data = Corpus(train=tmp_path / "w/data/train", test=tmp_path / "w/data/test")
    again = learn(data, tmp_path / "again", tmp_path / "v", settings=SMALL, system="fseg")
    assert again.test_score.predictions == named
    without = learn(Corpus(train=data.train), tmp_path / "again", tmp_path / "v", settings=SMALL)
    assert without.test is None
    assert not list((tmp_path / "v/exp").glob("*/test"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.utt2genre.update(dict.fromkeys(data.utterances[:1], "polka")), "no track of polka"),
        (lambda data: data.utt2spk.pop(data.utterances[0]), "not in utt2spk"),
        (lambda data: data.wav_scp.clear(), "neither audio nor features"),
    ],
)
def test_data_directories_that_cannot_be_used_are_refused_before_anything_is_done(
    learnt, tmp_path, monkeypatch, change, said
):
    _, root = learnt
    data = DataDir.read(root / "model.work/data/train")
    data.feats, data.utt2num_frames, data.utt2dur, data.genre_order = {}, {}, {}, sorted(STEPS)
    data.write(tmp_path / "train")
    change(data)
    data.genre_order = []
    data.write(tmp_path / "test")
    monkeypatch.setattr("lstmgenre.learning.data.extract", lambda *_: pytest.fail("features were extracted"))
    with pytest.raises(DataError, match=said):
        learn(Corpus(train=tmp_path / "train", test=tmp_path / "test"), tmp_path / "m", tmp_path / "w", settings=SMALL)


@pytest.mark.slow
def test_features_from_elsewhere_make_a_system_that_takes_such(learnt, command, here, no_report, monkeypatch):
    _, root = learnt
    data = DataDir.read(root / "model.work/data/train")
    with lstmgenre.TableWriter(f"ark,scp:{here}/f.ark,{here}/f.scp") as table:
        for utterance, matrix in read_table(f"scp:{data.path}/feats.scp"):
            table.write(utterance, matrix[:, ::40])
    data.feats, data.wav_scp = lstmgenre.tables.read_map(here / "f.scp"), {}
    data.write(here / "data")
    monkeypatch.setattr("lstmgenre.learning.Settings", lambda seed: replace(SMALL, seed=seed))
    done = command("learn --train data model --nj 1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("features from elsewhere") == 1
    last = done.stdout.splitlines()[-1].partition("lstmgenre ")[2]
    assert last == "predict model --feats RSPECIFIER"
    told = command(last.replace("RSPECIFIER", "scp:f.scp") + " --jsonl")
    assert told.returncode == 0, told.stderr
    songs = [json.loads(line) for line in told.stdout.splitlines()]
    assert [song["file"] for song in songs] == data.utterances
    assert sum(song["genre"] == data.utt2genre[song["file"]] for song in songs) > 9
    assert all(sum(song["probabilities"].values()) == pytest.approx(1) for song in songs)


def test_the_report_calls_a_corpus_by_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Corpus(Path()).name == tmp_path.name
    assert Corpus(Path("/srv/my music/../jazz/")).name == "jazz"
    assert Corpus(train=Path("/corpora/gtzan/train")).name == "gtzan/train"
    assert Corpus(train=Path("train")).name == f"{tmp_path.name}/train"
    assert Corpus(train=Path("/train")).name == "train"
    assert Corpus(Path("/")).name == "music"


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"low": 2, "high": 2}, "genre high has 2 tracks by 2 artists, too few"),
        ({"low": 6, "high": 1}, "genre high has 1 track by 1 artist, too few"),
        ({"low": 1, "high": 6, "middle": 6}, "genre low has 1 track by 1 artist, too few"),
        ({"low": 6, "high": 2}, "genre high has 2 tracks by 2 artists, too few"),
        ({"low": 6}, "give music of two genres or more"),
        ({}, "give music of two genres or more"),
    ],
)
def test_genres_of_too_few_tracks_are_said_before_features_are_extracted(music, tmp_path, monkeypatch, sizes, said):
    (tmp_path / "music").mkdir()
    for genre, size in sizes.items():
        for number in range(size):
            (tmp_path / "music" / genre).mkdir(exist_ok=True)
            shutil.copy(music / genre / f"song {number}.wav", tmp_path / "music" / genre)
    monkeypatch.setattr("lstmgenre.learning.data.extract", lambda *_, **__: pytest.fail("extracted"))
    with pytest.raises(DataError, match=said):
        learn(Corpus(tmp_path / "music"), tmp_path / "m", tmp_path / "w", settings=SMALL)


def corpus_of(tmp_path, sizes, artists):
    """A data directory of so many tracks a genre, by so many artists each."""
    utt2genre = {f"{genre}{k % artists}-{k}": genre for genre, size in sizes.items() for k in range(size)}
    utt2spk = {utterance: utterance.partition("-")[0] for utterance in utt2genre}
    return DataDir(tmp_path, utt2genre=utt2genre, utt2spk=utt2spk, genre_order=sorted(sizes))


@pytest.mark.parametrize("sizes", [{"a": 3, "b": 3}, {"a": 3, "b": 20}, {"a": 2, "b": 9, "c": 9}, {"a": 7, "b": 9}])
@pytest.mark.parametrize("artists", [1, 20])
def test_whichever_two_folds_are_left_out_there_are_genres_to_learn_from(tmp_path, sizes, artists):
    for seed in range(10):
        corpus = corpus_of(tmp_path, sizes, artists)
        parts = divide(corpus, Settings(seed=seed))
        assert sorted(u for _, held_out in parts for u in held_out.utterances) == sorted(corpus.utterances)
        for k, (one, _) in enumerate(parts):
            assert set(one.utt2genre.values()) == set(sizes)
            for other, _ in parts[:k]:
                assert len({corpus.utt2genre[u] for u in set(one.utterances) & set(other.utterances)}) > 1


@pytest.mark.slow
@pytest.mark.system
def test_on_the_command_line(music, command, here, monkeypatch):
    monkeypatch.setattr("lstmgenre.learning.Settings", lambda seed: replace(SMALL, seed=seed))
    assert command("learn gone 'my model' --nj 1").returncode == 1
    done = command(f"learn '{music}' 'my model' --nj 1 --json")
    assert done.returncode == 0, done.stderr
    report = (here / "my model.work/exp/report/RESULTS.md").read_text()
    told, made = report.split("## How this was made")
    assert told.startswith(f"# Results of {music.name}, cross-validation\n")
    assert re.search(r"systems were scored on the 18 tracks of 3 genres in cross-validation\.", told)
    assert str(here) not in told
    assert str(music) not in told
    assert not re.search("ISMIR|paper|Of several LSTMs|Test tracks by artists", told)
    assert "choice is what it is worth" in told
    assert "| mean scattering + SVM |" in told
    assert not re.search(r"LSTM\([0-9-]+\) scat|\bscat\b *\|", told)  # no network has a part in it
    for text in (made, (here / "my model/README.md").read_text()):  # the command that made it, not the one that failed
        assert f"lstmgenre learn {music} 'my model' --nj 1 --json" in text
        assert "gone" not in text
    outcome = json.loads(done.stdout)
    assert outcome["tracks"] == 18
    assert outcome["left_out"] == 1
    assert outcome["largest_genre"] == pytest.approx(1 / 3)
    assert list(outcome["right"]) == list(selection.SYSTEMS)
    stages = [line.split()[1] for line in done.stderr.splitlines() if line.split()[1] in STAGES]
    assert stages == STAGES
    again = command(f"learn '{music}' 'my model' --nj 2")
    lines = {line[:16].strip(): line[16:] for line in again.stdout.splitlines()}
    assert lines["learnt from"] == "18 tracks by 18 artists: 6 high, 6 low, 6 middle"
    assert lines["left out"] == "1 file, see my model.work/data/left_out.csv and the warnings above"
    low, high = outcome["accuracy"]["interval"]
    assert f"[{low:.1%}, {high:.1%}]" in lines["accuracy"]
    assert lines["by guessing"].startswith("33.3%")
    right = outcome["right"]
    name = outcome["system"]["name"]
    others = {other: count for other, count in right.items() if other != name}
    margin = right[name] - max(others.values())
    assert lines["system"].startswith(name)
    assert f"right on {right[name]} of 18 tracks in cross-validation, " in lines["system"]
    words = lines["system"].rpartition(", ")[2].split()
    assert words[:-1] == (["as", "many", "as"] if margin == 0 else [str(margin), "more", "than"])
    assert others[words[-1]] == max(others.values())
    song = next(music.glob("high/song*.wav"))
    done = command(lines["to use it"].removeprefix("lstmgenre ").replace("SONG", f"'{song}'"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{song}: ")
    assert "lstmgenre learn" in (here / "my model/README.md").read_text()


STAGES = ["data:", "features:", "networks:", "systems:", "bundle:", "report:"]


@pytest.mark.parametrize(
    "arguments",
    [
        *["m", "a b c", "a m --train d", "--train d", "m --test d", "a m --test d", "m --train d --test-fraction .2"],
        *["a m --work m", "a m --work m/work", "a w/data --work w", "a w/exp/m --work w", "a m --work ./x/../m"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments, command, here):
    assert command(f"learn {arguments}").returncode == 2
    assert list(here.iterdir()) == []
