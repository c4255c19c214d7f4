"""Which tracks a model learnt from: known by what recordings hold; no score on them is taken for a test score."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lstmgenre import provenance
from lstmgenre.cli.app import app
from lstmgenre.datadir import DataDir
from lstmgenre.scattering import extract, scat_json
from tests.banks import SMALL


def run(line, status=0):
    done = CliRunner().invoke(app, line.split())
    assert done.exit_code == status, (line, done.output, done.stderr, done.exception)
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tones of two genres in train and test, and a network and an SVM that learnt from the former."""
    root = tmp_path_factory.mktemp("made")
    scat_json.write(root / "bank", SMALL)
    random = np.random.default_rng(1)
    for part, artists in (("train", "abcdef"), ("test", "gh")):
        names = [f"{artist}-{k}" for artist in artists for k in range(2)]
        for k, name in enumerate(names):
            pitch = (0.1, 0.6)[k % 2] + 0.01 * k
            tone = np.sin(np.arange(8000) * pitch) * 0.3 + random.normal(size=8000) * 0.01
            soundfile.write(root / f"{name}.wav", tone, 8000)
        DataDir(
            root / "data" / part,
            wav_scp={name: f"{root}/{name}.wav" for name in names},
            utt2spk={name: name[0] for name in names},
            utt2genre={name: ("low", "high")[k % 2] for k, name in enumerate(names)},
        ).write()
        extract.extract(DataDir.read(root / "data" / part), SMALL)
    return root


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of it all, less absolute paths, with the current directory in it."""
    shutil.copytree(made, tmp_path / "x")
    monkeypatch.chdir(tmp_path / "x")
    for part in ("train", "test"):
        for name in ("wav.scp", "feats.scp"):
            path = Path("data", part, name)
            path.write_text(path.read_text().replace(str(made), str(tmp_path / "x")))
    return tmp_path / "x"


TRAIN = "--hidden 3 --cell-dim 4 --max-iters 1 --num-streams 2 --targets-delay 0 --seed 1"


@pytest.fixture
def trained(here):
    run(f"train-lstm data/train exp {TRAIN}")
    for part in ("train", "test"):
        run(f"forward exp scp:data/{part}/feats.scp ark,scp:{part}.ark,{part}.scp")
        run(f"pool-segments scp:{part}.scp ark:{part}_seg.ark")
    run("train-svm data/train ark:train_seg.ark exp/lseg")
    return here


SCORE = "score data/{0} --post scp:{1}.scp --svm exp/lseg --segments ark:{1}_seg.ark"


def test_a_model_knows_its_tracks_by_content(trained):
    learnt = provenance.read(Path("exp"))
    assert sorted(learnt) == DataDir.read("data/train").utterances
    assert len(set(learnt.values())) == 12
    assert provenance.read(Path("exp/lseg")) == learnt
    assert provenance.behind("ark:test_seg.ark") == provenance.behind("scp:test.scp") == learnt
    run("bundle exp out --svm lseg")
    assert provenance.read(Path("out")) == learnt
    run("bundle exp out --svm lseg")  # which replaces it
    assert "10 tracks" in Path("out/README.md").read_text()


def test_a_test_score_is_one_of_tracks_that_no_model_learnt_from(trained):
    assert "no test score" not in run(SCORE.format("test", "test")).output
    refused = run(SCORE.format("train", "train"), 1)
    assert "data/train: no test score: 12 of 12 tracks trained the model, a-0 among them" in str(refused.exception)
    shown = run(f"{SCORE.format('train', 'train')} --allow-seen").stdout
    assert shown.startswith("no test score: 12 of 12 tracks trained the model")
    run(f"{SCORE.format('train', 'train')} --allow-seen --out exp/train/score.json")
    assert len(json.loads(Path("exp/train/score.json").read_text())["seen"]) == 12
    run("report . rep --split train")
    assert "This is no test score: 12 of 12 tracks trained the model" in Path("rep/RESULTS.md").read_text()


def test_the_same_recording_under_another_name_is_known(trained):
    shutil.copy("a-0.wav", "g-0.wav")
    extract.extract(DataDir.read("data/test"), SMALL)
    for line in (
        "forward exp scp:data/test/feats.scp ark,scp:test.ark,test.scp",
        "pool-segments scp:test.scp ark:test_seg.ark",
    ):
        run(line)
    refused = run(SCORE.format("test", "test"), 1)
    assert "1 of 4 tracks trained the model, g-0 among them" in str(refused.exception)


def test_another_recording_under_the_same_name_is_another_track():
    tested = {"a": "1", "b": "2", "c": "-", "d": "5", "e": "-"}
    trained = {"a": "9", "x": "2", "c": "3", "d": "-", "f": "-"}
    assert provenance.seen(tested, trained) == {"b", "c", "d"}
    assert provenance.seen(tested, {}) == set()


@pytest.mark.parametrize("rspecifier", ["ark:-", "scp:nowhere.scp", "ark:cat x |", "ark:plain.ark"])
def test_what_nothing_is_recorded_of_is_no_error(here, rspecifier):
    Path("plain.ark").write_bytes(b"")
    assert provenance.behind(rspecifier) == {}


def test_records_that_name_each_other_are_no_way_round_for_ever(here):
    for name, other in (("a", "b"), ("b", "a"), ("c", "c"), ("d", "no table")):
        Path(f"{name}.ark").write_bytes(b"")
        made = {"archive": f"{name}.ark", "name": "pool-segments", "options": {"posteriors": f"ark:{other}.ark"}}
        Path(f"{name}.ark.json").write_text(json.dumps(made))
        assert provenance.behind(f"ark:{name}.ark") == {}
    assert provenance.behind("nonsense") == {}
