"""Baselines against their definitions: MFCCs written out with scipy, chance for the majority, tones for the SVMs."""

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import soundfile

from lstmgenre import audio, baselines
from lstmgenre.corpora import Track, write_data_dir
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.scattering.extract import extract
from lstmgenre.segments import mean_vector
from lstmgenre.tables import read_table
from tests.banks import SMALL


def mfcc_by_hand(samples):
    """Power spectra of Hann windows, triangles on the mel scale 2595 log10(1 + f / 700), logarithm, orthonormal DCT."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), baselines.WINDOW)[:: baselines.HOP]
    window = scipy.signal.get_window("hann", baselines.WINDOW)
    power = np.abs(scipy.fft.rfft(frames * window)) ** 2
    hz = np.linspace(0, audio.SAMPLE_RATE / 2, power.shape[1])
    top = 2595 * np.log10(1 + audio.SAMPLE_RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, baselines.MELS + 2) / 2595) - 1)
    mel = [power @ np.interp(hz, corners[k : k + 3], [0, 1, 0]) for k in range(baselines.MELS)]
    return scipy.fft.dct(np.log(np.stack(mel, axis=1) + 1e-6), norm="ortho")[:, : baselines.COEFFICIENTS]


@pytest.mark.parametrize("samples", [2048, 2559, 2560, 60_000])
def test_mfccs_are_those_of_the_definition_whatever_the_blocks(samples, monkeypatch):
    monkeypatch.setattr(baselines, "_BLOCK", 7)
    signal = np.random.default_rng(1).normal(size=samples).astype(np.float32) * 0.1
    expected = mfcc_by_hand(signal)
    assert expected.shape == ((samples - 2048) // 512 + 1, 20)
    np.testing.assert_allclose(baselines.mfcc(signal), expected, rtol=1e-3, atol=2e-3)


def test_a_track_of_less_than_a_window_has_one_frame():
    assert baselines.mfcc(np.zeros(10, np.float32)).shape == (1, 20)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """train and test: eight low tones and four high ones each, with features."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(3)
    for split in ("train", "test"):
        tracks = []
        for k in range(12):
            genre, step = ("high", 0.8) if k % 3 == 0 else ("low", 0.1)
            path = root / f"{split}{k}.wav"
            soundfile.write(path, np.sin(np.arange(8000) * step) * 0.3 + rng.normal(size=8000) * 0.05, 8000)
            tracks.append(Track(genre, f"artist{k}", str(k), path))
        write_data_dir(root / split, tracks, ["high", "low"])
        extract(DataDir.read(root / split), SMALL)
    return root


@pytest.mark.system
def test_every_baseline_is_scored_on_every_track(corpus):
    train, test = DataDir.read(corpus / "train"), DataDir.read(corpus / "test")
    scores = {name: report.tracks[name] for name, report in baselines.score(train, test, jobs=2)}
    assert list(scores) == ["majority", "scat_svm", "mfcc_svm"]
    assert {name: score.accuracy.correct for name, score in scores.items()} == {
        "majority": 8,
        "scat_svm": 12,
        "mfcc_svm": 12,
    }
    assert all(set(score.predictions) == set(test.utterances) for score in scores.values())


def test_the_majority_is_of_the_training_set(corpus):
    train, test = DataDir.read(corpus / "train"), DataDir.read(corpus / "test")
    high = train.subset(u for u in train.utterances if train.utt2genre[u] == "high" or u.startswith("artist1"))
    name, report = next(baselines.score(high, test))
    assert set(report.tracks[name].predictions.values()) == {"high"}


def test_vectors_are_means_and_deviations_over_frames(corpus):
    data = DataDir.read(corpus / "test")
    matrices = dict(read_table(f"scp:{corpus}/test/feats.scp"))
    vectors, cepstra = baselines.scattering_vectors(data), baselines.mfcc_vectors(data)
    for utterance, path in data.wav_scp.items():
        np.testing.assert_array_equal(vectors[utterance], mean_vector(matrices[utterance]))
        frames = baselines.mfcc(audio.load(path))
        np.testing.assert_allclose(
            cepstra[utterance], [*frames.mean(axis=0), *frames.std(axis=0)], rtol=1e-5, atol=1e-5
        )


@pytest.mark.system
def test_an_unreadable_track_is_named(corpus, tmp_path):
    data = DataDir.read(corpus / "test")
    data.path = tmp_path
    utterance = data.utterances[0]
    data.wav_scp[utterance] = "gone.wav"
    with pytest.raises(DataError, match=r"gone\.wav"):
        baselines.mfcc_vectors(data, jobs=2)


def test_scores_on_the_command_line_lie_where_report_looks(corpus, command, here):
    done = command(f"score-baselines {corpus}/train {corpus}/test exp")
    assert done.returncode == 0, done.stderr
    written = sorted(str(path.relative_to(here)) for path in here.rglob("score.json"))
    assert written == [f"exp/{name}/test/score.json" for name in ("majority", "mfcc_svm", "scat_svm")]
    assert "scat_svm: 12 of 12 tracks" in done.stderr
