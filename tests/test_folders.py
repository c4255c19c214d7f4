"""Folders of music as people have them, taken in, and again after they have changed."""

import collections
import csv
import os
import shutil

import av
import numpy as np
import pytest
import soundfile

from lstmgenre import audio
from lstmgenre.corpora import folders
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError
from lstmgenre.scattering.extract import extract
from tests.music import assert_kaldi_takes, genre_counts, left_out, make_tree, sets_of, snapshot, write_music

DEADLY = """
import hashlib, os
digest = hashlib.file_digest
def end(stream, name):
    if stream.name.endswith("deadly.wav"):
        os.kill(os.getpid(), 9)
    return digest(stream, name)
hashlib.file_digest = end
"""


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


def test_tracks_are_taken_from_every_format_and_depth(tmp_path):
    src = tmp_path / "src"
    for name in ("a/x/y/1.wav", "a/x/2.FLAC", "a/x/2.ogg", "b/1.aif", "b/2.WAV"):
        write_music(src / name)
    data = folders.prepare(src, tmp_path / "data")
    assert sets_of(data).keys() == {str(path) for path in src.rglob("*.*")}
    assert {genre for split in data.values() for genre in split.utt2genre.values()} == {"a", "b"}
    for split in data.values():
        assert_kaldi_takes(split)
        assert split.genres == ["a", "b"]
    assert left_out(tmp_path / "data") == {}


def test_what_cannot_be_used_is_left_out_each_with_its_reason(tmp_path, caplog):
    caplog.set_level("INFO")
    src = make_tree(tmp_path / "src", ["blues", "hip hop"], 4)
    (src / "blues/empty.mp3").touch()
    (src / "blues/broken.flac").write_bytes(b"fLaC" + bytes(range(200)))
    write_music(src / "blues/short.wav", 0.3)
    write_music(src / "blues/none.wav", 0)
    write_music(src / "top.wav")
    write_music(src / "blues/new\nline.wav")
    write_music(src / "blues/b:12.wav").rename(src / "blues/b.wav:12")
    write_music(src / os.fsdecode(b"blues/caf\xe9.wav"))
    os.mkfifo(src / "blues/pipe.wav")
    (src / "blues/dead.wav").symlink_to("nowhere.wav")
    (src / "blues/itself.wav").symlink_to("itself.wav")
    for name in ("blues/cover.jpg", "blues/.DS_Store", "blues/._blues.00000.wav", "list.m3u", "x.raw"):
        (src / name).touch()
    data = folders.prepare(src, tmp_path / "data")
    assert len(sets_of(data)) == 8
    reasons = {os.path.relpath(path, src): reason for path, reason in left_out(tmp_path / "data").items()}
    assert reasons.pop("blues/none.wav") in ("empty", "cannot be decoded")
    assert reasons == {
        "blues/empty.mp3": "empty",
        "blues/broken.flac": "cannot be decoded",
        "blues/short.wav": "too short",
        "top.wav": "outside the genre folders",
        "blues/new\nline.wav": "name that cannot stand in wav.scp",
        "blues/caf\\xe9.wav": "name that cannot stand in wav.scp",
        "blues/pipe.wav": "no file",
        "blues/dead.wav": "no file",
        "blues/itself.wav": "no file",
    }
    said = messages(caplog)
    assert any(line.endswith("data/left_out.csv (10 of 18):") for line in said)
    assert any(line.split()[:3] == ["3", "no", "file"] for line in said)
    assert any("passed over: 6 (2 hidden, " in line for line in said)


def test_what_is_taken_in_fails_in_no_extraction(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 1)
    write_music(src / "a/one window.wav", 8192 / 22050)
    write_music(src / "a/less.wav", 8191 / 22050)
    soundfile.write(src / "b/slow.wav", np.full(3000, 0.1), 800)
    soundfile.write(src / "b/fast.wav", np.full(9000, 0.1), 22051)
    soundfile.write(src / "b/not a number.wav", np.array([0.1] * 9000 + [np.nan]), 22050, "FLOAT")
    whole = write_music(src / "b/cut.flac", 2).read_bytes()
    (src / "b/cut.flac").write_bytes(whole[: len(whole) // 2])
    data = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    assert {os.path.basename(path) for path in left_out(tmp_path / "data")} == {
        "less.wav",
        "slow.wav",
        "not a number.wav",
    }
    assert extract(data).failed == {}
    assert DataDir.read(data.path).utt2num_frames.keys() == data.wav_scp.keys()


def test_linked_folders_are_followed_once(tmp_path):
    src = make_tree(tmp_path / "src", ["blues", "jazz"], 3)
    elsewhere = make_tree(tmp_path / "elsewhere", ["rock"], 2)
    (src / "rock").symlink_to(elsewhere / "rock")
    (src / "a link first in order").symlink_to(src / "blues")
    (src / "jazz" / "up").symlink_to("..")
    (elsewhere / "rock" / "back").symlink_to(src)
    data = folders.prepare(src, tmp_path / "data")
    assert sum(genre_counts(data).values(), collections.Counter()) == {"blues": 3, "jazz": 3, "rock": 2}
    assert str(src / "rock/rock.00000.wav") in sets_of(data)


def test_a_folder_that_cannot_be_read_is_left_out(tmp_path, monkeypatch):
    src = make_tree(tmp_path / "src", ["blues", "jazz"], 3)
    write_music(src / "jazz/locked/x.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    folders.prepare(src, tmp_path / "data")
    assert left_out(tmp_path / "data") == {str(src / "jazz/locked"): "folder that cannot be read"}


def test_data_in_the_folder_itself_is_not_music(tmp_path):
    src = make_tree(tmp_path / "src", ["blues", "jazz"], 3)
    write_music(src / "data/audio/x.wav")
    data = folders.prepare(src, src / "data")
    assert len(sets_of(data)) == 6


def test_spellings_of_a_genre_are_one(tmp_path):
    src = tmp_path / "src"
    for i, folder in enumerate(["Hip Hop", "hip-hop", "HIP HOP", "\u00c9lectro", "E\u0301lectro", "R&B / Soul", "Rap"]):
        for k in range(2 + (i == 0)):
            write_music(src / folder.replace("/", "") / f"{k}.wav")
    (tmp_path / "map.csv").write_text("rap,Hip Hop\nR&B  soul,\n", encoding="utf-8")
    data = folders.prepare(src, tmp_path / "data", genres=tmp_path / "map.csv")
    assert sum(genre_counts(data).values(), collections.Counter()) == {"Hip_Hop": 9, "\u00c9lectro": 4}
    assert set(left_out(tmp_path / "data").values()) == {"genre not wanted"}
    # A spelling that becomes the most frequent one renames nothing.
    for k in range(20):
        write_music(src / "hip-hop" / f"more {k}.wav")
    assert folders.prepare(src, tmp_path / "data")["train"].genres == ["Hip_Hop", "R&B_Soul", "Rap", "\u00c9lectro"]


# --- artists


def test_the_artist_is_that_of_the_list_then_the_tags_then_the_folders(tmp_path, caplog):
    src = tmp_path / "src"
    tagged = {"artist": "Björk feat. Tricky", "album": "Post"}
    write_music(src / "pop/Folder/Album/listed.flac", **tagged)
    write_music(src / "pop/Folder/Album/tagged.flac", **tagged)
    write_music(src / "pop/Folder/Album/plain.flac")
    write_music(src / "pop/Various Artists/Album/by one.flac", artist="One")
    write_music(src / "pop/Various Artists/Album/by nobody.flac", artist="Various Artists")
    write_music(src / "rock/unknown.flac", artist="Unknown Artist")
    write_music(src / "rock/folder/unknown.flac")
    (src / "manifest.csv").write_text("path,artist\npop/Folder/Album/listed.flac,The List\nrock/gone.wav,nobody\n")
    data = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    artists = {os.path.basename(data.wav_scp[u]): None if a == u else a for u, a in data.utt2spk.items()}
    assert len(artists) == 6
    assert artists.pop("unknown.flac") is None
    assert artists == {
        "listed.flac": "the_list",
        "tagged.flac": "bjork",
        "plain.flac": "folder",
        "by one.flac": "one",
        "by nobody.flac": None,
    }
    assert_kaldi_takes(data)
    assert any("artist unknown, so each counts as its own (3 of 7): " in line for line in messages(caplog))
    assert any("but not there (1): rock/gone.wav" in line for line in messages(caplog))


def test_m4a_tells_its_artist_and_what_is_cut_is_used_and_told(tmp_path, caplog):
    src = make_tree(tmp_path / "src", ["a", "b"], 2)
    with av.open(src / "a/song.m4a", "w") as container:
        container.metadata.update({"artist": "Solo", "album_artist": "Band", "genre": "rock"})
        stream = container.add_stream("aac", rate=22050, layout="mono")
        for _ in range(30):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1024), 0.1, np.float32), "fltp", "mono")
            frame.sample_rate = 22050
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = write_music(src / "b/cut.flac", 2).read_bytes()
    (src / "b/cut.flac").write_bytes(whole[: len(whole) // 2])
    data = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    assert data.utt2spk["band-a_song"] == "band"
    assert len(data.utterances) == 6
    assert any(f"damaged, and used as far as they go (1): {src}/b/cut.flac" in m for m in messages(caplog))


def test_no_artist_is_on_both_sides(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 12, lambda genre, i: f"{genre if i % 4 else ''} {i % 5}")
    for seed in range(5):
        data = folders.prepare(src, tmp_path / "data", seed=seed)
        assert not set(data["train"].utt2spk.values()) & set(data["test"].utt2spk.values())
        assert all(counts.keys() == {"a", "b"} for counts in genre_counts(data).values())


@pytest.mark.parametrize("text", ["", "file,who\na,b\n", 'path,artist\n"a,b\n'])
def test_a_bad_artist_list(tmp_path, text):
    src = make_tree(tmp_path / "src", ["a", "b"], 1)
    (tmp_path / "artists.csv").write_text(text)
    with pytest.raises(FormatError, match=r"artists\.csv:\d"):
        folders.prepare(src, tmp_path / "data", artists=tmp_path / "artists.csv")
    with pytest.raises(DataError, match=r"none\.csv"):
        folders.prepare(src, tmp_path / "data", artists=tmp_path / "none.csv")


def test_lists_name_files_in_any_form_of_unicode(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 2)
    write_music(src / "a/Cafe\u0301.wav")
    (src / "manifest.csv").write_text("path,artist\na/Caf\u00e9.wav,Somebody\n", encoding="utf-8")
    data = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    assert data.utt2spk["somebody-a_cafe"] == "somebody"


# --- a corpus that lives


def test_songs_that_come_go_and_get_other_names_move_no_other(tmp_path, caplog):
    caplog.set_level("INFO")
    src = make_tree(tmp_path / "src", ["blues", "jazz", "rock"], 9, lambda genre, i: f"{genre} {i // 3}" if i else None)
    before = folders.prepare(src, tmp_path / "data")
    ids = {path: u for split in before.values() for u, path in split.wav_scp.items()}
    for i in range(5):
        write_music(src / f"jazz/new {i}.wav")
    (src / "blues/blues.00004.wav").unlink()
    (src / "rock/rock.00000.wav").rename(src / "rock/another name.wav")
    (src / "rock/rock.00001.wav").write_bytes((write_music(tmp_path / "x.wav")).read_bytes())
    caplog.clear()
    after = folders.prepare(src, tmp_path / "data")
    assert "since the last run: 5 added, 1 removed, 1 renamed, 1 changed, 24 unchanged" in messages(caplog)
    old, new = sets_of(before), sets_of(after)
    assert {path: new[path] for path in old.keys() & new.keys()} == {
        path: old[path] for path in old.keys() & new.keys()
    }
    assert new[str(src / "rock/another name.wav")] == old[str(src / "rock/rock.00000.wav")]
    same = {path: u for split in after.values() for u, path in split.wav_scp.items()}
    assert {path: same[path] for path in ids.keys() & same.keys()} == {
        path: ids[path] for path in ids.keys() & same.keys()
    }
    caplog.clear()
    folders.prepare(src, tmp_path / "data")
    assert "since the last run: 31 unchanged" in messages(caplog)
    # Elsewhere, where nothing is remembered, a hash gives the same sets to all who have enough company.
    fresh = sets_of(folders.prepare(src, tmp_path / "fresh"))
    assert {path: fresh[path] for path in old.keys() & fresh.keys() if "00001" not in path} == {
        path: old[path] for path in old.keys() & fresh.keys() if "00001" not in path
    }


def test_ids_of_names_that_ids_cannot_tell_apart_stay(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 2)
    write_music(src / "a/the song.wav")
    first = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    write_music(src / "a/the song.flac")
    write_music(src / "a/THE-SONG.wav")
    second = folders.prepare(src, tmp_path / "data", test_fraction=0)["train"]
    assert second.wav_scp.items() >= first.wav_scp.items()
    assert len(second.wav_scp) == len(first.wav_scp) + 2


def test_what_was_there_is_not_decoded_again_and_keeps_its_features(tmp_path, monkeypatch):
    src = make_tree(tmp_path / "src", ["a", "b"], 4)
    data = folders.prepare(src, tmp_path / "data")
    for split in data.values():
        (split.path / "feats.scp").write_text("".join(f"{u} scat.ark:9\n" for u in split.utterances))
    probed = []
    probe = audio.probe
    monkeypatch.setattr(audio, "probe", lambda path: probed.append(path) or probe(path))
    before = snapshot(tmp_path / "data")
    folders.prepare(src, tmp_path / "data")
    assert probed == []
    assert snapshot(tmp_path / "data") == before
    sides = sets_of(data)
    changed = str(src / "a/a.00000.wav")
    write_music(src / "a/a.00000.wav", content="another recording")
    folders.prepare(src, tmp_path / "data")
    assert probed == [changed]
    for name, split in data.items():  # the features of the old recording must not pass for those of the new
        assert (split.path / "feats.scp").exists() == (sides[changed] != name)


def test_a_run_goes_on_where_one_was_stopped(tmp_path, monkeypatch):
    src = make_tree(tmp_path / "src", ["a", "b"], 4)
    probed = []
    probe = audio.probe

    def stop_after_three(path):
        if len(probed) == 3:
            raise KeyboardInterrupt
        probed.append(path)
        return probe(path)

    monkeypatch.setattr(audio, "probe", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        folders.prepare(src, tmp_path / "data")
    assert not list(tmp_path.glob("data/t*"))
    monkeypatch.setattr(audio, "probe", lambda path: probed.append(path) or probe(path))
    data = folders.prepare(src, tmp_path / "data")
    assert sorted(probed) == sorted(sets_of(data))
    assert not list(tmp_path.glob("data/log/*.jsonl"))


@pytest.mark.system
def test_a_file_that_ends_the_decoder_is_left_out(tmp_path, monkeypatch):
    src = make_tree(tmp_path / "src", ["a", "b"], 3)
    (src / "a/deadly.wav").write_bytes(write_music(tmp_path / "deadly.wav").read_bytes())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the processes
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    data = folders.prepare(src, tmp_path / "data", jobs=2)
    assert len(sets_of(data)) == 6
    assert left_out(tmp_path / "data") == {str(src / "a/deadly.wav"): "cannot be decoded"}


def test_other_shares_are_honoured_and_no_old_set_stays(tmp_path, caplog):
    src = make_tree(tmp_path / "src", ["a", "b"], 20)
    half = folders.prepare(src, tmp_path / "data")
    assert half.keys() == {"train", "test"}
    rest = folders.prepare(src, tmp_path / "data", test_fraction=0, held_out=0.3)
    assert rest.keys() == {"train", "valid"}
    assert 0 < len(rest["valid"].utterances) < 20
    assert not (tmp_path / "data/test/wav.scp").exists()
    assert "data/test: has no tracks any more" in caplog.text
    assert sets_of(folders.prepare(src, tmp_path / "data")) == sets_of(half)


def test_a_run_that_fails_spoils_nothing(tmp_path, monkeypatch):
    src = make_tree(tmp_path / "src", ["a", "b"], 4)
    folders.prepare(src, tmp_path / "data")
    before = snapshot(tmp_path / "data")
    write_music(src / "a/new.wav")
    write_music(src / "b/new.wav")
    write, written = DataDir.write, []

    def fill_the_disk(self, *path):
        if written:
            raise DataError("no space left on device")
        written.append(self.path)
        write(self, *path)

    monkeypatch.setattr(DataDir, "write", fill_the_disk)
    with pytest.raises(DataError, match="no space"):
        folders.prepare(src, tmp_path / "data")
    monkeypatch.undo()
    assert snapshot(tmp_path / "data") == before
    shutil.rmtree(src / "b")
    with pytest.raises(DataError, match="two genres"):
        folders.prepare(src, tmp_path / "data")
    assert snapshot(tmp_path / "data") == before


def test_copies_are_told_and_stay_together(tmp_path, caplog):
    src = make_tree(tmp_path / "src", ["a", "b"], 12)
    for i in range(12):
        shutil.copy(src / f"a/a.{i:05}.wav", src / f"b/copy {i}.wav")
    sides = sets_of(folders.prepare(src, tmp_path / "data"))
    assert "copies of others, to the byte (12)" in caplog.text
    assert "copies of files in another set" not in caplog.text
    assert all(sides[f"{src}/a/a.{i:05}.wav"] == sides[f"{src}/b/copy {i}.wav"] for i in range(12))


def test_copies_under_two_artists_are_told(tmp_path, caplog):
    src = make_tree(tmp_path / "src", ["a", "b"], 12, lambda genre, i: f"{genre} {i}")
    for i in range(12):
        shutil.copy(src / f"a/a.{i:05}.wav", src / f"b/b.{i:05}.wav")
    sides = sets_of(folders.prepare(src, tmp_path / "data"))
    apart = sum(sides[f"{src}/a/a.{i:05}.wav"] != sides[f"{src}/b/b.{i:05}.wav"] for i in range(12))
    assert apart
    assert f"copies of files in another set ({apart})" in caplog.text


def test_a_damaged_memory_costs_no_more_than_time(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 4)
    first = sets_of(folders.prepare(src, tmp_path / "data"))
    lines = (tmp_path / "data/intake.jsonl").read_text().splitlines()
    damaged = ["[" * 100_000, "{}", '{"path": 3}', lines[1][:-9], lines[2].replace("0.5", '"x"'), "\0\0", *lines[3:]]
    (tmp_path / "data/intake.jsonl").write_text("\n".join(damaged))
    assert sets_of(folders.prepare(src, tmp_path / "data")) == first


@pytest.mark.parametrize("files", [[], ["a/1.wav", "a/2.wav"], ["1.wav", "2.wav"]])
def test_less_than_two_genres(tmp_path, files):
    (tmp_path / "src").mkdir()
    for name in files:
        write_music(tmp_path / "src" / name)
    with pytest.raises(DataError, match="two genres"):
        folders.prepare(tmp_path / "src", tmp_path / "data")


@pytest.mark.system
@pytest.mark.system
def test_several_processes_find_the_same(tmp_path):
    src = make_tree(tmp_path / "src", ["a", "b"], 4)
    (src / "a/broken.mp3").write_bytes(b"no music")
    one, two = (folders.prepare(src, tmp_path / name, jobs=jobs) for name, jobs in (("one", 1), ("two", 2)))
    assert sets_of(one) == sets_of(two)
    lists = [sorted((tmp_path / name / "intake.jsonl").read_text().splitlines()) for name in ("one", "two")]
    assert lists[0] == lists[1]
    with open(tmp_path / "two/left_out.csv", newline="") as stream:
        assert [row["path"] for row in csv.DictReader(stream)] == [str(src / "a/broken.mp3")]
