"""Extraction over a data directory: what it writes, what it skips, and what a kill leaves."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
from msgspec import structs

from lstmgenre import audio
from lstmgenre.datadir import DataDir, Excerpt, validate
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.files import exclusive
from lstmgenre.parallel.run import this_process
from lstmgenre.scattering import extract, scat_json
from lstmgenre.scattering.features import FeatureConfig, ScatteringFeatures
from lstmgenre.scattering.journal import count_done
from lstmgenre.tables import read_map, read_table
from tests.banks import SMALL


def in_jobs(*arguments, **options):
    """Several jobs in this process, one after the other: that other processes do the same is test_parallel's."""
    return extract.extract(*arguments, **options, engine=this_process)


def features_of(data):
    return dict(read_table(f"scp:{data.path}/feats.scp"))


@pytest.mark.system
def test_each_utterance_gets_the_features_of_its_audio(data):
    assert extract.extract(data, SMALL, jobs=2) == extract.Extraction(6, {}, 6)
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


def test_what_fails_half_way_leaves_nothing_in_the_archive(data, monkeypatch):
    blocks = ScatteringFeatures.blocks
    calls = iter(range(99))

    def failing(self, samples):
        k = next(calls)
        yield from blocks(self, samples)
        if k == 2:
            raise DataError("half-way")

    whole = {name: audio.load(path, sample_rate=4000) for name, path in data.wav_scp.items()}
    monkeypatch.setattr(ScatteringFeatures, "blocks", failing)
    result = extract.extract(data, SMALL, max_failed=0.5)
    monkeypatch.undo()
    (lost,) = result.failed
    written = features_of(DataDir.read(data.path))
    assert sorted([*written, lost]) == data.utterances
    transform = ScatteringFeatures(SMALL)
    for name, matrix in written.items():
        np.testing.assert_array_equal(matrix, transform(whole[name]))
    (archive,) = (data.path / "data").glob("*.ark")
    assert [key for key, _ in read_table(f"ark:{archive}")] == sorted(written)


def test_a_bad_recording_does_not_stop_the_others(data):
    """What ended whole runs: a wav of a header alone, a segment where no recording is, one that a decoder breaks at."""
    good = data.utterances
    names = {f"b{k:02}": f"{data.path}/b{k:02}.wav" for k in range(60)}
    for path in names.values():
        soundfile.write(path, np.ones(8000) * 0.1, 8000)
    header = Path(names["b00"]).read_bytes()[:44]
    data.wav_scp |= names | {"c-header": str(data.path / "c.wav"), "c-none": str(data.path / "none.wav")}
    (data.path / "c.wav").write_bytes(header)
    data.segments = {name: Excerpt(name, 0, 1) for name in [*good, *names]}
    data.segments |= {
        "c-far": Excerpt("b01", 1e305, 2e305),
        "c-cut": Excerpt("c-header", 0, 1),
        "c-gone": Excerpt("c-none", 0, 1),
    }
    data.utt2spk = dict.fromkeys(data.segments, "a0")
    data.utt2genre = dict.fromkeys(data.utt2spk, "tone")
    data.write()
    result = extract.extract(DataDir.read(data.path), SMALL)
    assert result.done == len(good) + len(names)
    assert sorted(result.failed) == ["c-cut", "c-far", "c-gone"]
    assert "past the end of 1.00 s" in result.failed["c-far"]
    assert "holds no audio" in result.failed["c-cut"]
    assert sorted(features_of(data)) == sorted([*good, *names])


def test_the_number_of_jobs_changes_no_number(data, tmp_path):
    in_jobs(data, SMALL, jobs=1)
    first = features_of(data)
    shutil.rmtree(data.path / "data")
    in_jobs(DataDir.read(data.path), SMALL, jobs=3)
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


def test_an_archive_of_recordings_is_read_once_to_know_its_content(tmp_path, monkeypatch):
    sounds = np.random.default_rng(0).integers(-9000, 9000, (5, 9000), np.int16)
    archive = str(tmp_path / "wav.ark")
    recordings = {f"u{k}": (4000, sound) for k, sound in enumerate(sounds)}
    kaldiio.save_ark(archive, recordings, scp=f"{tmp_path}/wav.scp", write_function="soundfile")
    data = DataDir(tmp_path / "data", read_map(tmp_path / "wav.scp"), utt2spk=dict.fromkeys(recordings, "a"))
    data.write()
    read, file_digest = [], hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda stream, kind: read.append(stream.name) or file_digest(stream, kind)
    )
    assert in_jobs(data, SMALL).done == len(sounds)
    assert read == [archive]
    for k, matrix in enumerate(features_of(data).values()):
        np.testing.assert_array_equal(matrix, ScatteringFeatures(SMALL)(sounds[k] / np.float32(32768)))


def archives_of(data):
    return {path.name: path.stat().st_mtime_ns for path in (data.path / "data").glob("*.ark")}


def test_what_is_done_is_not_done_again_until_something_changes(data):
    extract.extract(data, SMALL)
    made = archives_of(data)
    assert extract.extract(DataDir.read(data.path), SMALL) == extract.Extraction(6, {})
    assert archives_of(data) == made
    assert extract.extract(DataDir.read(data.path), structs.replace(SMALL, quantise=True)).computed == 6
    assert not archives_of(data).keys() & made


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
    assert extract.extract(DataDir.read(data.path), SMALL) == extract.Extraction(30, {}, 1)  # what failed, again
    after = features_of(data)
    assert len(after) == 30
    assert all(np.array_equal(after[name], matrix) for name, matrix in before.items())


def test_what_is_gone_is_made_again(data):
    extract.extract(data, SMALL)
    for gone in ("utt2dur", "utt2num_frames", "data/scat.1.ark", "data/scat.1.journal"):
        (data.path / gone).unlink()
        extract.extract(DataDir.read(data.path), SMALL)
        assert_features(data, reference(data))
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


def test_as_many_may_fail_as_is_said_but_not_all(data, tmp_path):
    for k in (1, 3):
        (tmp_path / f"t{k}.wav").write_bytes(b"not audio")
    with pytest.raises(DataError, match="2 of 6 utterances failed, more than 33%"):
        extract.extract(data, SMALL, max_failed=0.33)
    result = extract.extract(data, SMALL, max_failed=2 / 6)
    assert (result.done, sorted(result.failed)) == (4, ["a0-t3", "a1-t1"])
    assert len(features_of(data)) == 4
    for path in tmp_path.glob("t*.wav"):
        path.write_bytes(b"not audio")
    with pytest.raises(DataError, match="6 of 6"):
        extract.extract(DataDir.read(data.path), SMALL, max_failed=1)
    assert len(features_of(data)) == 4


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


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_a_run_goes_on_with_another_number_of_jobs(data, tmp_path, jobs):
    expected = reference(data)
    good = (tmp_path / "t4.wav").read_bytes()
    (tmp_path / "t4.wav").write_bytes(b"not audio")  # the last of its shard fails, and so the run
    with pytest.raises(DataError, match="1 of 6 utterances failed"):
        in_jobs(data, SMALL, jobs=3)
    made = archives_of(data)
    (tmp_path / "t4.wav").write_bytes(good)
    assert in_jobs(data, SMALL, jobs=jobs) == extract.Extraction(6, {}, 1)
    assert_features(data, expected)
    assert archives_of(data).items() >= made.items()
    assert {path.suffix for path in (data.path / "data").iterdir()} == {".ark", ".journal", ".json", ".txt"}


def reference(data):
    """The features of each utterance, computed without any directory."""
    transform = ScatteringFeatures(SMALL)
    return {name: transform(audio.load(path, sample_rate=4000)) for name, path in data.wav_scp.items()}


def assert_features(data, expected):
    found = features_of(data)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(matrix, expected[name]) for name, matrix in found.items())
    again = DataDir.read(data.path)
    assert {name: len(matrix) for name, matrix in expected.items()} == again.utt2num_frames
    assert again.utt2dur.keys() == expected.keys()


@pytest.mark.parametrize(
    "choices",
    [["add"], ["remove", "add", "rename"], ["move", "change", "move"], ["break", "add", "break"], ["rename", "change"]],
)
def test_songs_come_and_go_and_only_what_is_new_is_computed(data, choices):
    now = replace(data, wav_scp=dict(data.wav_scp), utt2spk=dict(data.utt2spk), utt2genre=dict(data.utt2genre))
    (songs := data.path.parent / "songs").mkdir()
    for name, path in now.wav_scp.items():
        now.wav_scp[name] = str(shutil.copy(path, songs))
    in_jobs(now, SMALL, jobs=2)
    for step, choice in enumerate(choices):
        new, name = f"b-{step}", now.utterances[step % len(now.utterances)]
        sound, expected = songs / f"new{step}.wav", 0
        if choice in ("add", "change"):
            tone = np.sin(np.arange(8000) * (0.02 + 0.003 * step)) * 0.2
            soundfile.write(sound if choice == "add" else now.wav_scp[name], tone, 8000)
            expected = 1
        if choice == "add":
            now.wav_scp[new], now.utt2spk[new], now.utt2genre[new] = str(sound), "b", "tone"
        elif choice == "remove":
            for content in (now.wav_scp, now.utt2spk, now.utt2genre):
                del content[name]
        elif choice == "rename":  # the utterance
            for content, value in ((now.wav_scp, now.wav_scp[name]), (now.utt2spk, "b"), (now.utt2genre, "tone")):
                del content[name]
                content[new] = value
        elif choice == "move":  # its file
            now.wav_scp[name] = str(shutil.move(now.wav_scp[name], sound))
        elif choice == "break":
            made = archives_of(now)
            good = Path(now.wav_scp[name]).read_bytes()
            Path(now.wav_scp[name]).write_bytes(b"not audio %d" % step)
            now.write()
            with pytest.raises(DataError, match=r"1 of [0-9]+ utterances failed"):
                in_jobs(now, SMALL, jobs=2)
            assert archives_of(now).items() >= made.items()
            Path(now.wav_scp[name]).write_bytes(good)
        now.write()
        assert in_jobs(now, SMALL, jobs=1 + step % 3) == extract.Extraction(len(now.utterances), {}, expected)
        assert_features(now, reference(now))


def test_recordings_with_the_same_content_are_computed_once(data, tmp_path):
    (tmp_path / "t5.wav").write_bytes((tmp_path / "t0.wav").read_bytes())
    assert in_jobs(data, SMALL, jobs=2) == extract.Extraction(6, {}, 5)
    assert_features(data, reference(data))
    (tmp_path / "t0.wav").write_bytes(b"no")
    (tmp_path / "t5.wav").write_bytes(b"no")
    with pytest.raises(DataError, match="2 of 6 utterances failed"):
        extract.extract(data, SMALL)


def test_compacting_copies_what_is_named_and_computes_nothing(data, tmp_path):
    in_jobs(data, SMALL, jobs=3)
    keep = data.subset(data.utterances[:4])
    keep.wav_scp["c-new"], keep.utt2spk["c-new"] = keep.wav_scp.pop("a0-t0"), "c"
    keep.utt2spk.pop("a0-t0")
    keep.utt2genre = dict.fromkeys(keep.utt2spk, "tone")
    keep.write()
    assert in_jobs(keep, SMALL, jobs=2, compact=True) == extract.Extraction(4, {})
    assert sorted(archives_of(keep)) == ["scat.4.ark", "scat.5.ark"]
    assert_features(keep, reference(keep))
    held = {}
    for archive in archives_of(keep):
        held |= dict(read_table(f"ark:{keep.path}/data/{archive}"))
    assert held.keys() == set(keep.utterances)  # under the names that they have now, and nothing else
    made = archives_of(keep)
    assert extract.extract(keep, SMALL) == extract.Extraction(4, {})
    assert archives_of(keep) == made


def test_a_recording_that_was_replaced_is_read_again_and_all_others_are_kept(data, tmp_path):
    (tmp_path / "t4.wav").write_bytes(b"not audio")
    with pytest.raises(DataError, match="1 of 6 utterances failed"):
        extract.extract(data, SMALL)
    for k, track in enumerate(("t2.wav", "t4.wav")):
        soundfile.write(tmp_path / track, np.ones(8000) * 0.1 * (k + 1), 8000)
    assert extract.extract(data, SMALL) == extract.Extraction(6, {}, 2)
    assert_features(data, reference(data))
    soundfile.write(tmp_path / "t0.wav", np.ones(8000) * 0.3, 8000)  # all was done
    assert extract.extract(DataDir.read(data.path), SMALL).computed == 1
    assert_features(data, reference(data))


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
            in_jobs(data, SMALL, jobs=2)
    in_jobs(data, structs.replace(SMALL, quantise=True), jobs=2)
    made = {path: path.read_bytes() for path in (data.path / "data").iterdir()}
    for shard in waiting:
        with pytest.raises(DataError, match="no command that runs wants this archive"):
            extract.extract_shard(shard)
        shard.lock.unlink()
    assert {path: path.read_bytes() for path in (data.path / "data").iterdir()} == made


def test_archives_that_nothing_names_do_not_stay(data):
    in_jobs(data, SMALL, jobs=3)
    in_jobs(DataDir.read(data.path), structs.replace(SMALL, quantise=True), jobs=2)
    assert sorted(archives_of(data)) == ["scat.4.ark", "scat.5.ark"]
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
