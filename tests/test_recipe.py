"""recipes/ismir2004/run.sh from audio to tables, on a stand-in of the ISMIR 2004 tree with three seconds a track."""

import csv
import json
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

RECIPE = Path(__file__).parents[1] / "recipes" / "ismir2004"
GENRES = ["classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world"]
HEADER = ["class", "artist", "album", "track", "track number"]

TOML = """
[extract-scat]
quantise = true
[train-dnn]
learn-rate = 0.005
max-iters = 3
minibatch-size = 8
[train-lstm]
learn-rate = 0.01
max-iters = 3
batch-size = 20
param-scale = 0.1
scheduler = "decay"
"""
MODELS = """
# a comment, and a model of each kind
dnn1   train-dnn    --hidden 8
lstm1  train-lstm   --hidden 8 --cell-dim 12   # a small one
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """audio/SPLIT and metadata/SPLIT/tracklist.csv: three artists a genre in each part, of whom one of the evaluation
    part is known from training, and names for a shell to trip over."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(6)
    for split, column in (("training", "file_path"), ("development", "file path"), ("evaluation", "file_path")):
        (root / "metadata" / split).mkdir(parents=True)
        with open(root / "metadata" / split / "tracklist.csv", "w", newline="") as stream:
            rows = csv.writer(stream, quoting=csv.QUOTE_ALL)
            rows.writerow([*HEADER, column])
            for k, genre in enumerate(GENRES):
                for artist, number in (("one", 1), ("two", 2), ("three", 3)):
                    known_as = f"{split}_{genre}_{artist}"
                    if split == "evaluation" and artist == "one":
                        known_as, number = f"training_{genre}_one", 4
                    flat = split == "development"
                    name = (
                        f"{genre}_{artist}_{number}.mp3" if flat else f"{genre}/{artist}/a $(b)/{number}-it's & co.mp3"
                    )
                    rows.writerow([genre, known_as, "album", f"track_{number}", number, name])
                    path = root / "audio" / split / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    t = np.arange(3 * 44100) / 44100
                    tone = 0.3 * np.sin(2 * np.pi * 100 * 2**k * t * rng.uniform(0.95, 1.05))
                    soundfile.write(path, tone + 0.01 * rng.normal(size=len(t)), 44100, format="MP3")
    (root / "tiny.toml").write_text(TOML)
    (root / "tiny.models").write_text(MODELS)
    return root


def command(corpus, work, options=""):
    return f"'{RECIPE}/run.sh' --corpus '{corpus}' --conf '{corpus}/tiny' --work '{work}' --nj 2 {options}"


@pytest.fixture(scope="module")
def whole_run(corpus, tmp_path_factory, environment):
    """The work directory of a whole run, and what it printed."""
    work = tmp_path_factory.mktemp("recipe") / "w"
    run = subprocess.run(["bash", "-c", command(corpus, work)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return work, run.stdout


def test_the_recipe_runs_to_its_tables_on_both_splits(whole_run):
    work, tables = whole_run
    for row in ("Table 2.", "baseline-DNN1(525-8-6)", "Table 4.", "LSTM(525-8-6)", "LSeg acc", "FSeg acc"):
        assert row in tables
    for exp in ("exp", "exp/artist"):
        score = json.loads((work / exp / "lstm1/test/score.json").read_text())
        assert set(score["tracks"]) == {"majority vote", "lseg", "fseg"}
        assert all(system["total"] == 18 for system in score["tracks"].values())
        # Genres are tones an octave apart: whoever cannot tell them apart has a broken chain.
        assert score["tracks"]["fseg"]["accuracy"] > 0.9
        assert score["known_artists"] == []
    score = json.loads((work / "exp/lstm1/evaluation/score.json").read_text())
    assert len(score["known_artists"]) == 6
    assert score["tracks"]["fseg"]["by_artists"]["known artists"]["total"] == 6
    assert score["tracks"]["fseg"]["by_artists"]["other artists"]["total"] == 12
    assert (work / "exp/lstm1/genres").read_text().split() == GENRES
    results = (work / "exp/report/RESULTS.md").read_text()
    splits = ("test", "evaluation", "evaluation, known artists", "evaluation, other artists", "artist/test")
    assert f"| system | {' | '.join(splits)} |" in results
    steps = ("prep-data ismir2004", "extract-scat", "split-data", "train-dnn", "train-lstm", "forward", "pool-segments")
    for step in (*steps, "train-svm", "score", "score-baselines", "bundle", "report"):
        assert f"| {step} |" in results
        assert f"\nlstmgenre {step} " in results


def test_its_bundle_names_the_genre_of_a_song(whole_run, corpus, shell):
    song = shell(f"lstmgenre predict '{whole_run[0]}/exp/bundle' '{corpus}/audio/development/world_two_2.mp3'")
    assert "world_two_2.mp3: world (" in song.stdout


def test_nothing_is_done_twice(whole_run, corpus, shell):
    work, tables = whole_run
    products = [path for path in (work / "exp").rglob("*") if path.suffix in {".ark", ".nnet"}]
    products += work.glob("exp/lstm1/*/svm.json")
    made = {path: path.stat().st_mtime_ns for path in products}
    assert len(made) >= 20
    again = shell(command(corpus, work, "--split paper --stage 2"))
    assert (again.returncode, again.stdout) == (0, tables)
    assert {path: path.stat().st_mtime_ns for path in products} == made


def test_a_network_trained_beside_others_is_the_one_trained_alone(whole_run, corpus, shell, tmp_path):
    options = f"--config '{corpus}/tiny.toml' --hidden 8 --cell-dim 12"
    alone = shell(f"lstmgenre train-lstm '{whole_run[0]}/data/train' alone {options}")
    assert alone.returncode == 0, alone.stderr
    assert (tmp_path / "alone/final.nnet").read_bytes() == (whole_run[0] / "exp/lstm1/final.nnet").read_bytes()


def test_without_an_lstm_there_are_tables_and_a_reason_why_no_bundle(whole_run, corpus, shell):
    last = shell(command(corpus, whole_run[0], "--models dnn1 --split paper --stage 6"))
    assert last.returncode == 0, last.stderr
    assert "no bundle: that is an LSTM" in last.stderr
    assert "baseline-DNN1(525-8-6)" in last.stdout


def test_a_network_that_cannot_be_trained_ends_the_recipe(whole_run, corpus, shell, tmp_path):
    (tmp_path / "other.models").write_text("dnn9 train-dnn --hidden 8")
    (tmp_path / "other.toml").write_text(TOML)
    (whole_run[0] / "exp/dnn9").mkdir()
    (whole_run[0] / "exp/dnn9/training.json").write_text("nonsense")
    failed = shell(f"'{RECIPE}/run.sh' --conf ./other --work '{whole_run[0]}' --split paper --stage 3")
    assert failed.returncode == 1
    assert "exp/dnn9/training.json" in failed.stderr
    assert "stage 4" not in failed.stderr


def test_stages_and_models_can_be_picked(corpus, shell, tmp_path):
    done = shell(command(corpus, "w", "--stop-stage 1"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w/data/train/wav.scp").exists()
    assert not (tmp_path / "w/data/train/feats.scp").exists()
    assert "stage 2" not in done.stderr
    unknown = shell(command(corpus, "w", "--models 'lstm9'"))
    assert unknown.returncode == 1
    assert "no model 'lstm9'" in unknown.stderr


def test_the_first_failure_ends_the_recipe(corpus, shell, tmp_path):
    assert shell(command(corpus, "w", "--stop-stage 1")).returncode == 0
    scp = tmp_path / "w/data/train/wav.scp"
    scp.write_text(scp.read_text().replace("/audio/", "/nowhere/"))
    done = shell(command(corpus, "w", "--stage 2"))
    assert done.returncode == 1
    assert "stage 3" not in done.stderr
    assert [line for line in done.stderr.splitlines() if "error" in line]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """SRC/GENRE/TRACK: twelve artists a genre with a tone each, and the models' options."""
    root = tmp_path_factory.mktemp("folders")
    rng = np.random.default_rng(6)
    rows = ["path,artist"]
    for genre, pitch in (("high", 2000), ("low", 200)):
        (root / "src" / genre).mkdir(parents=True)
        for k in range(12):
            tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(3 * 22050) / 22050 * rng.uniform(0.95, 1.05))
            soundfile.write(root / "src" / genre / f"{k}.wav", tone + 0.01 * rng.normal(size=len(tone)), 22050)
            rows.append(f"{genre}/{k}.wav,{genre} {k}")
    (root / "src" / "manifest.csv").write_text("\n".join(rows))
    (root / "tiny.toml").write_text(TOML)
    (root / "tiny.models").write_text(MODELS)
    return root


def test_the_data_of_another_corpus_is_not_taken_for_the_one_that_is_given(folders, corpus, shell):
    assert shell(f"lstmgenre prep-data folders '{folders}/src' w/data").returncode == 0
    refused = shell(command(corpus, "w", "--stop-stage 1"))
    assert refused.returncode == 1
    assert "is of another corpus" in refused.stderr


def test_artists_apart_cross_fitted_and_selected(folders, shell, tmp_path):
    assert shell(f"lstmgenre prep-data folders '{folders}/src' w/data").returncode == 0
    run = f"'{RECIPE}/run.sh' --work w --conf '{folders}/tiny' --models lstm1 --stage 2 --stop-stage 5 --nj 2"
    done = shell(f"{run} --split artist --cross-fit 2 --select")
    assert done.returncode == 0, done.stderr

    def artists(path):
        return {line.split()[1] for line in (tmp_path / "w/data" / path / "utt2spk").read_text().splitlines()}

    assert not artists("artist/1/train") & artists("artist/1/test")
    assert artists("artist/1/train") | artists("artist/1/test") == artists("train") | artists("test")
    exp = tmp_path / "w/exp/artist/lstm1"
    score = json.loads((exp / "test/score.json").read_text())
    fixed = {"lseg", "fseg", "lseg_cf2", "fseg_cf2"}
    selected = {f"{system}_sel" for system in fixed}
    assert set(score["tracks"]) == {"majority vote"} | fixed | selected
    assert {system["total"] for system in score["tracks"].values()} == {12}
    fitted = (exp / "train/post_cf2.scp").read_text().splitlines()
    assert [line.split()[0] for line in fitted] == sorted(line.split()[0] for line in fitted)
    assert len(fitted) == 12
    for fold in "12":
        outside = artists_of(exp / f"cf2/{fold}/train.scp") | artists_of(exp / f"cf2/{fold}/cv.scp")
        run_over = [line.split()[0] for line in fitted if f"cf2/{fold}/post.ark" in line]
        assert len(run_over) == 6
        assert not outside & {utterance.split("-")[0] for utterance in run_over}
    for system in fixed | selected:
        model = json.loads((exp / system / "svm.json").read_text())
        threshold, c = 0.9, 1.0
        if system in selected:
            chosen = tomllib.loads((exp / f"{system}.toml").read_text())
            threshold, c = chosen["pool-segments"]["threshold"], chosen["train-svm"]["c"]
        assert model["pooling"] == {"threshold": threshold, "fuse": system.startswith("fseg")}
        assert model["c"] == c
    recorded = json.loads((exp / "train/lseg_cf2.ark.json").read_text())
    assert recorded["options"]["posteriors"] == f"scp:{exp}/train/post_cf2.scp"
    # What these options have left is no part of a run without them, nor is what another network has made.
    (exp / "final.nnet").touch()
    trained = (exp / "final.nnet").stat().st_mtime_ns
    assert shell(f"{run} --split artist --stage 4").returncode == 0
    for made in ("train/post.scp", "test/post.scp", "train/lseg.scp", "test/fseg.scp", "lseg/svm.json"):
        assert (exp / made).stat().st_mtime_ns > trained, made
    assert set(json.loads((exp / "test/score.json").read_text())["tracks"]) == {"majority vote", "lseg", "fseg"}
    for name in ("majority", "scat_svm", "mfcc_svm"):
        assert set(json.loads((exp.parent / name / "test/score.json").read_text())["tracks"]) == {name}


def artists_of(scp):
    return {line.split("-")[0] for line in scp.read_text().splitlines()}


@pytest.mark.parametrize(
    "options",
    [
        "--nj",
        "--no-such-option",
        "--corpus",
        "--nj 0",
        "--stage x",
        "--stage 7",
        "--stage 3 --stop-stage 2",
        "--conf nope",
    ],
)
def test_wrong_options_exit_2(shell, options):
    assert shell(f"'{RECIPE}/run.sh' {options}").returncode == 2


def test_the_papers_configuration_is_the_papers():
    """Table 3 and section 3.2 of the paper, as printed there."""
    paper = tomllib.loads((RECIPE / "conf/paper.toml").read_text())
    assert paper["train-dnn"]["learn-rate"] == 8e-6
    assert paper["train-dnn"]["max-iters"] == 100
    lstm = paper["train-lstm"]
    assert (lstm["learn-rate"], lstm["momentum"], lstm["batch-size"]) == (2e-5, 0.8, 60)
    assert (lstm["max-iters"], lstm["halving-factor"]) == (50, 0.9)
    models = [line.split() for line in (RECIPE / "conf/paper.models").read_text().splitlines() if line[:1] != "#"]
    layers = [[int(n) for flag, n in pairwise(rest) if flag == "--hidden"] for _, _, *rest in models]
    assert layers == [[1024], [1024, 1024], [512], [1024], [512, 512], [1024, 1024]]
    assert [rest[-1] for name, command, *rest in models if command == "train-lstm"] == ["800", "1500", "800", "1500"]
