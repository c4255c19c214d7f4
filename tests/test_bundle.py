"""Bundles: what predict says of a file is what the pipeline says of it; strangers' files do no harm."""

import json
import pickle
import resource
import shutil
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import stats

import lstmgenre
from lstmgenre import bundle, packing, score_json, scoring, svm
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.expdir import Epoch, History
from lstmgenre.model_card import model_card
from lstmgenre.nnet1 import init
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import BankConfig, FeatureConfig, ScatteringFeatures
from lstmgenre.segments import Pooling, mean_vector
from lstmgenre.selection import Selection, System
from lstmgenre.tables import open_table, read_table
from tests.systems import CONFIG, DELAY, GENRES, decisions


@pytest.mark.parametrize("name", ["lseg", "fseg"])
def test_a_prediction_from_audio_is_the_pipelines(trained, tmp_path, name):
    data, exp = DataDir.read(trained / "data"), trained / "exp/lstm"
    packing.pack([exp], name, tmp_path / "bundle")
    system = lstmgenre.load(tmp_path / "bundle")
    vectors = dict(read_table(f"scp:{exp}/{name}.scp", "vector"))
    expected = svm.SegmentSvm.load(exp / name).scores(vectors)
    posteriors = open_table(f"scp:{exp}/post.scp")
    for utterance, audio in data.wav_scp.items():
        prediction = system.predict(audio)
        assert prediction.scores == pytest.approx(expected[utterance], abs=1e-5)
        assert prediction.genre == max(prediction.scores, key=prediction.scores.get)
        # Of what the network says DELAY frames after hearing one, the pipeline has all but of the last DELAY frames.
        heard = [GENRES[k] for k in posteriors[utterance][DELAY:].argmax(axis=1)]
        hop = CONFIG.window / 2 / CONFIG.sample_rate
        said = [next(s.genre for s in prediction.timeline if m * hop < s.end) for m in range(len(heard))]
        assert said == heard
        assert prediction.timeline[0].start == 0
        assert prediction.timeline[-1].end == pytest.approx(soundfile.info(audio).duration, abs=0.01)
        assert all(a.end == b.start and a.genre != b.genre for a, b in pairwise(prediction.timeline))


@pytest.mark.parametrize("name", ["scat", "vote"])
def test_a_bundle_of_one_part_decides_as_its_part_does(trained, tmp_path, name):
    data, exp = DataDir.read(trained / "data"), trained / "exp/lstm"
    packing.pack([exp], name, tmp_path / "bundle")
    system = lstmgenre.load(tmp_path / "bundle")
    files = {path.name for path in (tmp_path / "bundle").iterdir()}
    network = {"final.nnet", "final.feature_transform", "training.json", "genres"}
    parts = {"scat": {"svm.json"}, "vote": network}[name]
    assert files == {"README.md", "scat.json", "system.json", "utt2content"} | parts
    means = {u: mean_vector(matrix) for u, matrix in read_table(f"scp:{trained}/data/feats.scp")}
    expected = svm.SegmentSvm.load(exp / "scat").scores(means)
    for utterance, posteriors in read_table(f"scp:{exp}/post.scp"):
        prediction = system.predict(data.wav_scp[utterance])
        assert prediction.genre == max(prediction.scores, key=prediction.scores.get)
        if name == "scat":
            assert prediction.scores == pytest.approx(expected[utterance], abs=1e-5)
            assert prediction.timeline == []
        else:
            assert prediction.genre == GENRES[scoring.majority_vote(posteriors)]
            shares = (posteriors.argmax(axis=1)[:, None] == range(3)).mean(axis=0)
            assert list(prediction.scores.values()) == pytest.approx(shares.tolist(), abs=1 / len(posteriors))
            assert prediction.timeline[-1].end == pytest.approx(2, abs=0.01)


@pytest.fixture
def elsewhere(trained, tmp_path):
    """The experiment as one on features that extract-scat has not made."""
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    (exp / "scat.json").unlink()
    return exp


@pytest.mark.parametrize("name", ["scat", "vote", "lseg", "fseg"])
def test_a_bundle_on_given_features_decides_as_the_pipeline_does(trained, elsewhere, tmp_path, name):
    packing.pack([elsewhere], name, tmp_path / "bundle")
    packing.pack([elsewhere], name, tmp_path / "bundle")  # takes its own place
    packing.pack([trained / "exp/lstm"], name, tmp_path / "with audio")
    system, with_audio = (lstmgenre.load(tmp_path / kind) for kind in ("bundle", "with audio"))
    assert not system.features
    assert system.dim == with_audio.dim == 37
    feats, data = dict(read_table(f"scp:{trained}/data/feats.scp")), DataDir.read(trained / "data")
    if name in ("lseg", "fseg"):
        vectors = dict(read_table(f"scp:{elsewhere}/{name}.scp", "vector"))
    else:
        vectors = {u: mean_vector(matrix) for u, matrix in feats.items()}
    for utterance, posteriors in read_table(f"scp:{elsewhere}/post.scp"):
        prediction = system.predict_features(feats[utterance])
        if name == "vote":
            assert prediction.genre == GENRES[scoring.majority_vote(posteriors)]
        else:
            (expected,) = svm.SegmentSvm.load(elsewhere / name).scores({"": vectors[utterance]}).values()
            assert prediction.scores == pytest.approx(expected, abs=1e-5)
        assert prediction.timeline == []
        from_audio = with_audio.predict(data.wav_scp[utterance])
        from_features = with_audio.predict_features(feats[utterance].tolist())
        assert from_features.scores == from_audio.scores == prediction.scores
        assert from_features.timeline[:-1] == from_audio.timeline[:-1]
        for given, heard in zip(from_features.timeline, from_audio.timeline, strict=True):
            assert (given.start, given.genre) == (heard.start, heard.genre)
            assert given.end == pytest.approx(heard.end, abs=with_audio.features.hop)
    card = (tmp_path / "bundle/README.md").read_text()
    assert "the features of a song: high, low, middle" in card
    assert "- Features: 37 numbers a frame, which have to be given: lstmgenre predict BUNDLE --feats" in card
    assert "scat.json" not in card
    with pytest.raises(DataError, match="takes no audio: predict_features"):
        system.predict("song.wav")


def test_features_that_do_not_fit_are_refused(packed):
    system = lstmgenre.load(packed)
    with pytest.raises(ModelError, match="takes 37 features a frame, and here are 36"):
        system.predict_features(np.zeros((3, 36)))
    for wrong in (np.zeros(37), np.zeros((0, 37)), np.zeros((1, 2, 37)), [["a"] * 37], None):
        with pytest.raises(DataError, match=r"give numbers \(frames, features\)"):
            system.predict_features(wrong)
    for number in (np.nan, np.inf, 1e300):
        with pytest.raises(DataError, match="NaN"):
            system.predict_features(np.full((3, 37), number))


def test_a_network_that_takes_other_features_than_it_says_makes_no_bundle(trained, tmp_path):
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    scat_json.write(exp, FeatureConfig(sample_rate=4000, window=512, banks=(BankConfig("scatnet", (1, 1)),)))
    with pytest.raises(ModelError, match=r"final\.nnet: takes 37 inputs, but there are \d+ features"):
        packing.pack([exp], "fseg", tmp_path / "out")


def test_a_bundle_of_before_there_were_several_kinds_is_that_of_its_svm(packed):
    (packed / "system.json").unlink()
    assert lstmgenre.load(packed).svm.pooling == Pooling(0.6, fuse=True)


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"system": 7}', '{"system": null}'])
def test_a_damaged_name_of_the_system_is_one_clear_error(packed, content):
    (packed / "system.json").write_text(content)
    with pytest.raises(FormatError, match=r"system\.json: damaged"):
        lstmgenre.load(packed)


@pytest.mark.parametrize("name", ["scat", "vote", "fseg"])
def test_a_part_of_a_bundle_that_is_lost_is_named(trained, tmp_path, name):
    packing.pack([trained / "exp/lstm"], name, tmp_path / "bundle")
    needed = {path.name for path in (tmp_path / "bundle").iterdir()} - {"README.md", "system.json", "utt2content"}
    for lost in sorted(needed):
        kept = (tmp_path / "bundle" / lost).rename(tmp_path / lost)
        with pytest.raises((DataError, ModelError), match=lost):
            lstmgenre.load(tmp_path / "bundle")
        kept.rename(tmp_path / "bundle" / lost)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_an_svm_on_other_vectors_than_it_says_makes_no_bundle(trained, tmp_path, threshold):
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    for name, fuse in (("fseg" if threshold is None else "scat", True), ("lseg", True)):
        edit(exp / name / "svm.json", lambda f, fuse=fuse: f.update(pooling={"threshold": threshold, "fuse": fuse}))
        with pytest.raises(ModelError, match=r"svm\.json: an SVM on \d+ numbers is not one"):
            packing.pack([exp], name, tmp_path / "out")


def test_the_genre_changes_in_the_timeline_where_it_changes_in_the_song(trained, packed, tmp_path):
    t = np.arange(16000)
    change = 9000  # of 16000 samples at 8 kHz
    tone = 0.3 * np.sin(np.where(t < change, 0.1, 0.9) * t) + np.random.default_rng(1).normal(size=16000) * 0.05
    soundfile.write(tmp_path / "song.wav", tone, 8000, subtype="FLOAT")
    spans = lstmgenre.load(packed).predict(tmp_path / "song.wav").timeline
    (end,) = {span.end for span, after in pairwise(spans) if (span.genre, after.genre) == ("low", "high")}
    hop = CONFIG.window / 2 / CONFIG.sample_rate
    assert end == pytest.approx(change / 8000, abs=1.5 * hop)


@pytest.mark.parametrize("song", [b"RIFF....", b"song.wav", None, 3])
def test_what_is_no_name_of_a_file_is_one_clear_error(packed, song):
    with pytest.raises(DataError, match=f"{type(song).__name__} is no name of a file"):
        lstmgenre.load(packed).predict(song)


def test_the_features_are_bit_for_bit_those_of_extract_scat(trained, packed, monkeypatch):
    seen = []
    blocks = ScatteringFeatures.blocks

    def spy(self, samples):
        for block in blocks(self, samples):
            seen.append(block.copy())
            yield block

    monkeypatch.setattr(ScatteringFeatures, "blocks", spy)
    system, data = lstmgenre.load(packed), DataDir.read(trained / "data")
    for utterance, matrix in read_table(f"scp:{trained}/data/feats.scp"):
        seen.clear()
        system.predict(data.wav_scp[utterance])
        np.testing.assert_array_equal(np.concatenate(seen), matrix)


def test_the_held_out_loss_chooses_the_experiment_and_not_the_test_score(trained, tmp_path):
    for name, loss, accuracy in (("a", 0.5, 0.9), ("b", 0.2, 0.1), ("c", 0.3, 1.0)):
        shutil.copytree(trained / "exp/lstm", tmp_path / name)
        training = json.loads((tmp_path / name / "training.json").read_text())
        training["epochs"][-1] |= {"cv_loss": loss, "accepted": True}
        (tmp_path / name / "training.json").write_text(json.dumps(training))
        report = score_json.read(tmp_path / name / "test/score.json")
        right = sorted(report.truth)[: round(accuracy * len(report.truth))]
        other = {utterance: GENRES[GENRES.index(genre) - 1] for utterance, genre in report.truth.items()}
        report.tracks.pop("lseg", None)
        report.add_tracks("lseg", other | {utterance: report.truth[utterance] for utterance in right}, report.truth)
        score_json.write(tmp_path / name / "test/score.json", report)
    assert packing.pack([tmp_path / name for name in "abc"], "lseg", tmp_path / "out") == tmp_path / "b"


def test_a_rejected_last_epoch_does_not_count(trained, tmp_path):
    losses = [(3.0, True), (1.0, True), (0.1, False)]
    epochs = [Epoch(k, "net", accepted, loss, 50.0, 9.0) for k, (loss, accepted) in enumerate(losses)]
    History({}, epochs).write(tmp_path)
    assert History.read(tmp_path).held_out_loss == 1.0


def card_of(exp, name, candidates):
    svm_dir = None if name == "vote" else exp / name
    return model_card(bundle.Bundle.of(exp, svm_dir), exp, name, candidates)


def test_the_card_says_what_is_recorded(trained, tmp_path):
    exp = tmp_path / "lstm"
    shutil.copytree(trained / "exp/lstm", exp)
    card = card_of(exp, "fseg", [exp, tmp_path / "other"])
    score = json.loads((exp / "test/score.json").read_text())["tracks"]["fseg"]
    for words in ("high, low, middle", "audio rounded to 16 bits", "share above 0.6", "the mean feature vector"):
        assert words in card
    assert f"{score['correct']} of 18 tracks" in card
    assert f"| low | 6 | {score['confusion'][1][1]} |" in card
    held_out = len((exp / "cv.scp").read_text().splitlines())
    assert f"learnt from {18 - held_out} tracks" in card
    assert "lowest of lstm, other" in card
    assert "mean feature vector" not in card_of(exp, "lseg", [exp])
    assert "Network" not in card_of(exp, "scat", [exp])
    assert "a linear SVM on 37 numbers a track: the mean feature vector (svm.json)" in card_of(exp, "scat", [exp])
    vote = card_of(exp, "vote", [exp])
    assert "SVM" not in vote
    assert "likeliest in most frames" in vote
    right = json.loads((exp / "test/score.json").read_text())["tracks"]["majority vote"]["correct"]
    assert f"{right} of 18 tracks" in vote


@pytest.mark.parametrize(
    ("rights", "asked_for", "packed", "said"),
    [
        ({"scat": 6, "vote": 5, "fseg": 9}, None, "fseg", "fseg wins by 3 tracks."),
        ({"scat": 6, "vote": 5, "fseg": 7}, None, "fseg", "fseg wins by 1 track."),
        ({"scat": 7, "vote": 7, "fseg": 7}, None, "scat", "scat is the simplest of those that get most tracks right."),
        ({"scat": 8, "vote": 5, "fseg": 6}, "fseg", "fseg", "fseg was asked for; another gets 2 tracks more."),
        ({"scat": 5, "vote": 5, "fseg": 6}, "fseg", "fseg", "fseg was asked for; it gets 1 track more than the next."),
        ({"scat": 6, "vote": 5, "fseg": 9}, None, "vote", "fseg was chosen, and vote, which is packed here, was not."),
    ],
)
def test_the_card_says_by_how_much_the_system_won_and_what_the_choice_is_worth(
    trained, tmp_path, rights, asked_for, packed, said
):
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    scores = scoring.Report(GENRES)
    for name, right in {**rights, "choice": 4}.items():
        scores.add_tracks(name, *decisions(right))
    best = {name: System(name, *((0.8, 10.0) if name == "fseg" else ())) for name in rights}
    chosen = asked_for or max(rights, key=rights.get)
    Selection(best[chosen], best, scores, 3, asked_for is not None).save(exp)
    card = card_of(exp, packed, [exp])
    assert said in card
    assert f"| fseg | 0.8 | 10 | {rights['fseg']} |" in card
    low, high = stats.binomtest(4, 12).proportion_ci(method="wilson")
    assert f"worth 33.3% (95 % interval {low:.1%} to\n{high:.1%})" in card


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *product(
            ["final.nnet", "final.feature_transform", "training.json", "genres", "fseg/svm.json"],
            ["missing", "nonsense"],
        ),
        ("scat.json", "nonsense"),  # without one, features are from elsewhere
    ],
)
def test_what_is_incomplete_or_damaged_makes_no_bundle(trained, tmp_path, name, damage):
    exp = tmp_path / "lstm"
    shutil.copytree(trained / "exp/lstm", exp)
    (exp / name).unlink() if damage == "missing" else (exp / name).write_text("[1]")
    (tmp_path / "out").mkdir()
    with pytest.raises((DataError, FormatError, ModelError), match=Path(name).name):
        packing.pack([exp], "fseg", tmp_path / "out" / "bundle")
    assert list((tmp_path / "out").iterdir()) == []


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("delay", [-7, 10**9, 1.5, "5", None, True])
def test_a_delay_that_cannot_be_is_refused(packed, delay):
    edit(packed / "training.json", lambda training: training["settings"].update(targets_delay=delay))
    with pytest.raises(FormatError, match=r"training\.json: damaged .*targets_delay"):
        lstmgenre.load(packed)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), None, "low"])
def test_a_held_out_loss_that_is_no_number_is_refused(trained, tmp_path, loss):
    edit(
        shutil.copytree(trained / "exp/lstm", tmp_path / "lstm") / "training.json",
        lambda training: training["epochs"][-1].update(cv_loss=loss, accepted=True),
    )
    with pytest.raises(FormatError, match=r"training\.json: damaged"):
        packing.pack([tmp_path / "lstm"], "fseg", tmp_path / "out")


@pytest.mark.parametrize(
    ("genres", "error"),
    [
        ("high\nlow\nlow\n", FormatError),
        ("high\nlow\n", ModelError),
        ("high\nlow\nmiddle\nmore\n", ModelError),
        ("high\nlow\nother\n", ModelError),
        ("high\nlow\nmiddle", FormatError),
    ],
)
def test_genres_that_are_not_the_networks_and_the_svms_are_refused(packed, genres, error):
    (packed / "genres").write_text(genres)
    with pytest.raises(error, match="genre"):
        lstmgenre.load(packed)


def test_an_svm_on_vectors_of_a_stream_makes_no_bundle(trained, tmp_path):
    exp = shutil.copytree(trained / "exp/lstm", tmp_path / "lstm")
    edit(exp / "fseg/svm.json", lambda fields: fields.update(pooling=None))
    with pytest.raises(DataError, match="how its vectors were pooled"):
        packing.pack([exp], "fseg", tmp_path / "out")


def test_a_bundle_replaces_a_bundle_and_nothing_else(trained, packed, tmp_path):
    before = (packed / "svm.json").read_bytes()
    packing.pack([trained / "exp/lstm"], "lseg", packed)
    assert (packed / "svm.json").read_bytes() != before
    for name in ("final.nnet", "training.json"):  # make and -nt see that a network is no newer for being packed
        assert (packed / name).stat().st_mtime_ns == (trained / "exp/lstm" / name).stat().st_mtime_ns
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary").write_text("dear")
    with pytest.raises(DataError, match="no bundle"):
        packing.pack([trained / "exp/lstm"], "lseg", tmp_path / "mine")
    assert (tmp_path / "mine" / "diary").read_text() == "dear"


def test_a_bundle_that_a_disk_does_not_hold_is_one_line_and_the_old_one_stays(trained, packed):
    before = {path.name: path.read_bytes() for path in packed.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (10, 300, 2000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(DataError, match=r"/bundle: cannot be written: File too large$"):
                packing.pack([trained / "exp/lstm"], "lseg", packed)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in packed.iterdir()} == before
    assert [path.name for path in packed.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("spared", [(), ("system.json",)])
def test_a_directory_that_holds_more_or_less_than_a_bundle_is_refused_and_stays(trained, packed, tmp_path, spared):
    for name in spared:  # as bundles were at first: they are replaced
        (packed / name).unlink()
        packing.pack([trained / "exp/lstm"], "fseg", packed)
        assert (packed / name).is_file()
    for spoil in (
        lambda out: (out / "notes").write_text("dear"),
        lambda out: (out / "log").mkdir(),
        lambda out: (out / "README.md").unlink(),
        lambda out: [path.unlink() for path in out.iterdir() if path.name != "svm.json"],  # as train-svm leaves it
    ):
        out = shutil.copytree(packed, tmp_path / "out")
        spoil(out)
        before = {path.name for path in out.iterdir()}
        with pytest.raises(DataError, match="no bundle"):
            packing.pack([trained / "exp/lstm"], "fseg", out)
        assert {path.name for path in out.iterdir()} == before
        shutil.rmtree(out)


def test_parts_of_different_systems_are_refused(trained, packed):
    init.lstm(5, [6], [8], 4, 777, 0.1, 5.0).write(packed / "final.nnet")
    with pytest.raises(ModelError, match="3 genres for a network with 4 outputs"):
        lstmgenre.load(packed)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    "name", ["system.json", "svm.json", "final.nnet", "final.feature_transform", "scat.json", "training.json"]
)
def test_a_pickle_in_a_bundle_is_an_error_and_is_not_loaded(packed, name):
    (packed / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match=name):
        lstmgenre.load(packed)


@pytest.mark.system
def test_importing_the_package_is_light():
    code = "import sys, lstmgenre; sys.exit(bool({'numpy', 'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_predict_serves_what_it_can_and_names_the_rest(trained, packed, shell, tmp_path):
    shutil.copy(next(trained.glob("low *.wav")), tmp_path / "a song.wav")
    soundfile.write(tmp_path / "short.wav", np.zeros(100), 8000)
    (tmp_path / "noise.mp3").write_text("not audio")
    shutil.copy(tmp_path / "a song.wav", tmp_path / "touch ran |")
    songs = "short.wav noise.mp3 gone.ogg 'touch ran |' /proc/self/mem 'a song.wav'"
    done = shell(f"lstmgenre predict bundle {songs} --json --timeline")
    assert done.returncode == 1
    (served,) = json.loads(done.stdout)
    prediction = lstmgenre.load(packed).predict(tmp_path / "a song.wav")
    assert served == {"file": "a song.wav", **json.loads(json.dumps(prediction.as_dict()))}
    *errors, summary = done.stderr.splitlines()
    assert summary == f"lstmgenre: 1 song: 1 {prediction.genre}; 5 could not be served"
    refused = ["short.wav", "noise.mp3", "gone.ogg", "touch ran |", "/proc/self/mem"]
    for error, name in zip(errors, refused, strict=True):
        assert name in error
        assert error.startswith("lstmgenre: error: ")
    assert not (tmp_path / "ran").exists()


def test_predict_for_a_person(packed, shell, trained):
    song = next(trained.glob("low *.wav"))
    done = shell(f"lstmgenre predict bundle '{song}' --timeline")
    prediction = lstmgenre.load(packed).predict(song)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{song}: {prediction.genre} ({prediction.genre} ")
    assert len(lines) == 1 + len(prediction.timeline)
    assert lines[1].startswith("  0:00.0 - 0:0")


def test_bundling_on_the_command_line(trained, shell, tmp_path):
    done = shell(
        f"lstmgenre bundle '{trained}/exp/lstm' out --svm lseg && lstmgenre bundle '{trained}/exp/lstm' out --svm x"
    )
    assert done.returncode == 1
    assert "train-svm" in done.stderr.splitlines()[-1]
    assert lstmgenre.load(tmp_path / "out").svm.dim == 12
