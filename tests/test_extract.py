"""Extraction over a data directory: what it writes, what it skips, and what a kill leaves."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from lstmgenre import audio
from lstmgenre.datadir import DataDir, Excerpt, validate
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.files import exclusive
from lstmgenre.scattering import extract, scat_json
from lstmgenre.scattering.features import FeatureConfig, ScatteringFeatures
from lstmgenre.scattering.journal import count_done
from lstmgenre.tables import read_table
from tests.banks import SMALL


def features_of(data):
    return dict(read_table(f"scp:{data.path}/feats.scp"))


@pytest.mark.system
def test_each_utterance_gets_the_features_of_its_audio(data):
    assert extract.extract(data, SMALL, jobs=2) == extract.Extraction(6, {})
    transform = ScatteringFeatures(SMALL)
    written, again = features_of(data), DataDir.read(data.path)
    assert sorted(written) == data.utterances
    for name, matrix in written.items():
        samples = audio.load(data.wav_scp[name], sample_rate=4000)
        np.testing.assert_array_equal(matrix, transform(samples))
        assert again.utt2num_frames[name] == len(matrix)
        assert again.utt2dur[name] == pytest.approx(len(samples) / 4000, abs=1e-3)
    assert validate(again) == []
    assert len(list((data.path / "data").glob("*.ark"))) == 2
    assert len((data.path / "data" / "scat_paths.txt").read_text().splitlines()) == transform.dim + 1


@pytest.mark.system
def test_the_number_of_jobs_changes_no_number(data, tmp_path):
    extract.extract(data, SMALL, jobs=1)
    first = features_of(data)
    shutil.rmtree(data.path / "data")
    extract.extract(DataDir.read(data.path), SMALL, jobs=3)
    for name, matrix in features_of(data).items():
        np.testing.assert_array_equal(matrix, first[name])


def test_segments_cut_their_recordings(data):
    data.segments = {"a0-x": Excerpt("a0-t0", 0.25, 0.75), "a1-y": Excerpt("a1-t1", 0.5, 2.0)}
    data.utt2spk = {"a0-x": "a0", "a1-y": "a1"}
    data.utt2genre = dict.fromkeys(data.utt2spk, "tone")
    data.write()
    extract.extract(DataDir.read(data.path), SMALL)
    cut = audio.load(data.wav_scp["a1-t1"], sample_rate=4000, start=0.5, end=2.0)
    np.testing.assert_array_equal(features_of(data)["a1-y"], ScatteringFeatures(SMALL)(cut))


def test_what_is_done_is_not_done_again_until_something_changes(data):
    extract.extract(data, SMALL)
    ark = data.path / "data" / "scat.1.ark"
    made = ark.stat().st_mtime_ns
    extract.extract(DataDir.read(data.path), SMALL)
    assert ark.stat().st_mtime_ns == made
    extract.extract(DataDir.read(data.path), replace(SMALL, quantise=True))
    assert ark.stat().st_mtime_ns != made


def test_one_bad_file_in_many_is_left_out_and_named(data, tmp_path):
    for k in range(6, 30):
        data.wav_scp[f"a0-t{k:02}"] = data.wav_scp["a0-t0"]
        data.utt2spk[f"a0-t{k:02}"], data.utt2genre[f"a0-t{k:02}"] = "a0", "tone"
    data.write()
    (tmp_path / "t3.wav").write_bytes(b"not audio")
    result = extract.extract(data, SMALL)
    assert result.done == 29
    assert list(result.failed) == ["a0-t3"]
    assert "t3.wav" in result.failed["a0-t3"]
    assert "a0-t3" not in features_of(data)
    assert any("a0-t3" in log.read_text() for log in (data.path / "log").glob("extract_scat.*.log"))
    soundfile.write(tmp_path / "t3.wav", np.ones(8000) * 0.1, 8000)
    before = features_of(data)
    assert extract.extract(DataDir.read(data.path), SMALL) == extract.Extraction(30, {})  # what failed, again
    after = features_of(data)
    assert len(after) == 30
    assert all(np.array_equal(after[name], matrix) for name, matrix in before.items())


def test_what_is_gone_is_made_again(data):
    extract.extract(data, SMALL)
    for gone in ("utt2dur", "utt2num_frames", "data/scat.1.ark"):
        (data.path / gone).unlink()
        extract.extract(DataDir.read(data.path), SMALL)
        assert (data.path / gone).exists()
        assert sorted(features_of(data)) == data.utterances


def test_more_than_five_per_cent_of_bad_files_is_a_failure_that_can_be_mended(data, tmp_path):
    shutil.copy(tmp_path / "t3.wav", tmp_path / "good.wav")
    (tmp_path / "t3.wav").write_bytes(b"")
    with pytest.raises(DataError, match="1 of 6 utterances failed, more than 5%"):
        extract.extract(data, SMALL)
    assert not (data.path / "feats.scp").exists()
    shutil.copy(tmp_path / "good.wav", tmp_path / "t3.wav")
    extract.extract(data, SMALL)
    assert sorted(features_of(data)) == data.utterances


def test_a_track_shorter_than_a_window_is_said(data, tmp_path):
    soundfile.write(tmp_path / "t3.wav", np.zeros(200), 8000)
    with pytest.raises(DataError):
        extract.extract(data, SMALL)
    assert "less than one window" in (data.path / "log" / "extract_scat.1.log").read_text()


SLOW = """
import sys, time
from lstmgenre.datadir import DataDir
from lstmgenre.scattering import extract
from tests.banks import SMALL
whole = extract._write
def slow(*arguments):
    time.sleep(0.3)
    return whole(*arguments)
extract._write = slow
extract.extract(DataDir.read(sys.argv[1]), SMALL)
"""


def start(data):
    """Extract in a process of its own, with a pause before each track."""
    return subprocess.Popen([sys.executable, "-c", SLOW, str(data.path)])


@pytest.mark.system
@pytest.mark.parametrize("finished", [0, 1, 4])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(data, tmp_path, finished):
    extract.extract(DataDir.read(data.path), SMALL)
    files = ["feats.scp", "utt2num_frames", "utt2dur", "data/scat.1.ark"]
    expected = {name: (data.path / name).read_bytes() for name in files}
    shutil.rmtree(data.path / "data")
    (data.path / "feats.scp").unlink()

    killed = start(data)
    journal, part = data.path / "data" / "scat.1.journal", data.path / "data" / "scat.1.ark.part"
    deadline = time.monotonic() + 60
    while not (journal.exists() and part.exists()) or count_done(data.path / "data") < finished:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (data.path / "feats.scp").exists()
    part.write_bytes(part.read_bytes() + b"half an entry")
    journal.write_text(journal.read_text() + '{"utterance": "a2')
    kept = {json.loads(line)["utterance"] for line in journal.read_text().splitlines()[1:-1]}

    extract.extract(DataDir.read(data.path), SMALL)
    assert {name: (data.path / name).read_bytes() for name in files} == expected
    log = (data.path / "log" / "extract_scat.1.log").read_text()
    assert len(kept) >= finished
    assert not any(f"{name}:" in log for name in kept)  # what was finished is not done again


@pytest.mark.system
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_a_run_goes_on_with_another_number_of_jobs(data, tmp_path, jobs):
    extract.extract(data, SMALL, jobs=3)
    files = ["feats.scp", "utt2num_frames", "utt2dur", *(f"data/scat.{k}.ark" for k in (1, 2, 3))]
    expected = {name: (data.path / name).read_bytes() for name in files}
    good = (tmp_path / "t4.wav").read_bytes()
    shutil.rmtree(data.path / "data")
    (tmp_path / "t4.wav").write_bytes(b"not audio")  # the last of its shard fails, and so the run
    with pytest.raises(DataError, match="1 of 6 utterances failed"):
        extract.extract(data, SMALL, jobs=3)
    (tmp_path / "t4.wav").write_bytes(good)
    extract.extract(data, SMALL, jobs=jobs)
    assert {name: (data.path / name).read_bytes() for name in files} == expected
    logs = "".join(log.read_text() for log in (data.path / "log").glob("extract_scat.*.log"))
    assert [name for name in data.utterances if f"{name}: " in logs] == ["a1-t4"]
    assert {path.name for path in (data.path / "data").iterdir()} == {
        *(f"scat.{k}.ark" for k in (1, 2, 3)),
        "scat.json",
        "scat_paths.txt",
    }


def test_a_recording_that_was_replaced_is_read_again_and_what_came_before_it_is_kept(data, tmp_path):
    (tmp_path / "t4.wav").write_bytes(b"not audio")
    with pytest.raises(DataError, match="1 of 6 utterances failed"):
        extract.extract(data, SMALL)
    for track in ("t2.wav", "t4.wav"):
        soundfile.write(tmp_path / track, np.ones(8000) * 0.1, 8000)
    extract.extract(data, SMALL)
    log = (data.path / "log" / "extract_scat.1.log").read_text()
    assert [name for name in data.utterances if f"{name}: " in log] == ["a1-t4", "a2-t2", "a2-t5"]
    fresh = ScatteringFeatures(SMALL)(audio.load(data.wav_scp["a2-t2"], sample_rate=4000))
    np.testing.assert_array_equal(features_of(data)["a2-t2"], fresh)
    soundfile.write(tmp_path / "t0.wav", np.ones(8000) * 0.1, 8000)  # all was done
    extract.extract(DataDir.read(data.path), SMALL)
    np.testing.assert_array_equal(features_of(data)["a0-t0"], fresh)


def test_one_run_at_a_time_extracts_and_the_next_finds_all_done(data):
    with exclusive(data.path / "data"), pytest.raises(DataError, match="another run writes here"):
        extract.extract(data, SMALL)
    extract.extract(data, SMALL)
    made = (data.path / "data" / "scat.1.ark").stat().st_mtime_ns
    extract.extract(data, SMALL)  # this was read before the other run had ended
    assert (data.path / "data" / "scat.1.ark").stat().st_mtime_ns == made


@pytest.mark.system
def test_a_job_that_outlived_its_command_does_nothing(data, monkeypatch):
    waiting = []

    def keep(function, shards, jobs, log, engine):
        waiting.extend(shards)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(extract, "run", keep)
        with pytest.raises(KeyboardInterrupt):
            extract.extract(data, SMALL, jobs=2)
    extract.extract(data, replace(SMALL, quantise=True), jobs=2)
    made = {path: path.read_bytes() for path in (data.path / "data").iterdir()}
    for shard in waiting:
        with pytest.raises(DataError, match="no command that runs wants this archive"):
            extract.extract_shard(shard)
        shard.lock.unlink()
    assert {path: path.read_bytes() for path in (data.path / "data").iterdir()} == made


@pytest.mark.system
def test_archives_of_more_jobs_do_not_stay(data):
    extract.extract(data, SMALL, jobs=3)
    extract.extract(DataDir.read(data.path), replace(SMALL, quantise=True), jobs=2)
    assert sorted(path.name for path in (data.path / "data").glob("*.ark")) == ["scat.1.ark", "scat.2.ark"]
    assert sorted(features_of(data)) == data.utterances


def test_features_of_another_bank_are_refused(data, tmp_path):
    extract.extract(data, SMALL)
    scp = f"scp:{data.path}/feats.scp"
    assert scat_json.of_features(scp) == SMALL
    scat_json.write(tmp_path / "same", SMALL)
    scat_json.check(tmp_path / "same", scp)
    scat_json.write(tmp_path / "other", FeatureConfig(sample_rate=4000, window=512, banks=SMALL.banks))
    with pytest.raises(ModelError, match="another bank, sample rate or rounding"):
        scat_json.check(tmp_path / "other", scp)
    (tmp_path / "same" / scat_json.NAME).write_text("{}")
    with pytest.raises(FormatError, match=r"scat\.json"):
        scat_json.check(tmp_path / "same", scp)
