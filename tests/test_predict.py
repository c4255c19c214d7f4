"""predict: what is found is served once, in order, whatever befalls a file, a process or the run."""

import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import lstmgenre
from lstmgenre import bundle
from lstmgenre.corpora.labels import is_same_genre
from lstmgenre.errors import DataError, ModelError
from lstmgenre.packing import pack
from lstmgenre.parallel.engine import Lost
from lstmgenre.parallel.stream import stream
from lstmgenre.prediction import Answers, Brief, Prediction, csv_line, differing, record, row, write_playlists
from lstmgenre.serving import Answer, Song, by_processes, read_list
from tests.systems import GENRES

SCORES = {"rock": 2.25, "jazz": 0.5}


@pytest.fixture
def music(trained, packed, here):
    """bundle and music/: three songs in folders, beside them what is no song."""
    for k, path in enumerate(sorted(trained.glob("*.wav"))[::7]):
        (here / "music" / str(k)).mkdir(parents=True)
        shutil.copy(path, here / "music" / str(k) / f"song {k}.wav")
    (here / "music" / "0" / "cover.jpg").write_text("no audio")
    (here / "music" / ".hidden.wav").write_text("no audio")
    return [f"music/{k}/song {k}.wav" for k in range(3)]


def test_folders_are_searched_in_silence_and_answers_are_those_of_python(music, command):
    done = command("predict bundle music --jsonl")
    assert done.returncode == 0
    assert done.stderr.startswith("lstmgenre: 3 songs: ")
    assert len(done.stderr.splitlines()) == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    system = lstmgenre.load("bundle")
    expected = system.predict(list(music))
    assert [song["file"] for song in told] == music
    assert [song["genre"] for song in told] == [prediction.genre for prediction in expected]
    assert [song["scores"] for song in told] == [prediction.scores for prediction in expected]
    assert json.loads(command("predict bundle music --json").stdout) == told
    lines = csv.DictReader(io.StringIO(command("predict bundle music --csv").stdout))
    for line, song in zip(lines, told, strict=True):
        assert (line["file"], line["genre"]) == (song["file"], song["genre"])
        assert {g: float(line[f"score_{g}"]) for g in GENRES} == pytest.approx(song["scores"], rel=1e-5)


@pytest.mark.system
def test_several_processes_answer_alike_and_in_order(music, command):
    songs = " ".join(f"'{song}'" for song in [*music, "gone.wav", *reversed(music)])
    alone, together = (command(f"predict bundle {songs} --jsonl --nj {jobs}") for jobs in (1, 2))
    assert together.stdout == alone.stdout
    assert [json.loads(line)["file"] for line in together.stdout.splitlines()] == [*music, *reversed(music)]
    assert together.returncode == alone.returncode == 1
    assert together.stderr == alone.stderr
    assert "3 songs" in alone.stderr
    assert "1 could not be served" in alone.stderr


FORMS = ["", "--jsonl", "--csv", "--json", "--out out.csv", "--out out.jsonl --jsonl"]


@pytest.fixture(params=["recorded", "elsewhere"])
def given(request, trained, packed, here):
    """The rspecifier of features of 18 songs that bundle takes: made by extract-scat, or it knows not by whom."""
    if request.param == "elsewhere":
        exp = shutil.copytree(trained / "exp/lstm", here / "lstm")
        (exp / "scat.json").unlink()
        pack([exp], "fseg", packed)
    return f"scp:{trained}/data/feats.scp"


@pytest.mark.parametrize("form", FORMS)
def test_features_are_served_as_songs_are(given, command, here, form):
    done = command(["predict", "bundle", "--feats", given, *form.split()])
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert done.stderr.startswith("lstmgenre: 18 songs: ")
    system = lstmgenre.load("bundle")
    expected = {name: system.predict_features(matrix) for name, matrix in lstmgenre.read_table(given)}
    written = (here / form.split()[1]).read_text() if "out" in form else done.stdout
    if "json" in form:
        told = json.loads(written) if form == "--json" else [json.loads(line) for line in written.splitlines()]
        assert told == [{"file": u, "genre": p.genre, "scores": p.scores} for u, p in expected.items()]
    elif form:
        lines = list(csv.DictReader(io.StringIO(written)))
        assert [(line["file"], line["genre"]) for line in lines] == [(u, p.genre) for u, p in expected.items()]
    else:
        assert [line.split(" (")[0] for line in written.splitlines()] == [
            f"{u}: {p.genre}" for u, p in expected.items()
        ]
    if "out" in form:
        (here / "out").write_text("")
        (here / form.split()[1]).write_text(written[: len(written) // 2])
        again = command(["predict", "bundle", "--feats", given, *form.split()])
        assert "of them by an earlier run" in again.stderr
        assert (here / form.split()[1]).read_text() == written


def test_features_come_through_a_pipe(given, command, here, monkeypatch):
    monkeypatch.setenv("LSTMGENRE_NO_PIPES", "")  # and take back what --no-pipes leaves there
    expected = command(["predict", "bundle", "--feats", given, "--csv"]).stdout
    command(["copy-feats", given, "ark:feats.ark"])
    monkeypatch.setattr("sys.stdin", open("feats.ark"))  # noqa: SIM115
    assert command("predict bundle --feats ark:- --csv").stdout == expected
    assert command("predict bundle --feats 'ark:cat feats.ark |' --csv").stdout == expected
    done = command("--no-pipes predict bundle --feats 'ark:cat feats.ark |' --csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "forbidden" in done.stderr


@pytest.mark.system
def test_several_processes_serve_features_alike(given, command):
    alone, together = (command(["predict", "bundle", "--feats", given, "--jsonl", "--nj", jobs]) for jobs in "12")
    assert together.stdout == alone.stdout
    assert (together.returncode, together.stderr) == (0, alone.stderr)


def test_a_timeline_of_features_takes_their_rate(given, command):
    done = command(["predict", "bundle", "--feats", given, "--jsonl", "--timeline"])
    if lstmgenre.load("bundle").features:
        assert json.loads(done.stdout.splitlines()[0])["timeline"][-1]["end"] == pytest.approx(2, abs=0.05)
    else:
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "bundle: has no timeline" in done.stderr


def test_audio_for_a_system_on_features_from_elsewhere_is_one_clear_line(given, command, trained):
    if lstmgenre.load("bundle").features:
        return
    for jobs in "12":
        done = command(["predict", "bundle", str(trained), "--nj", jobs])
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "--feats" in done.stderr


def test_features_that_a_system_does_not_take_are_one_clear_line(given, command, feats):
    done = command("predict bundle --feats scp:feats.scp")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "takes 37 features a frame, and here are 3" in done.stderr


def test_a_table_that_breaks_off_costs_what_follows(given, command, here):
    command(["copy-feats", given, "ark:feats.ark"])
    content = (here / "feats.ark").read_bytes()
    (here / "feats.ark").write_bytes(content[: len(content) // 2])
    done = command("predict bundle --feats ark:feats.ark --json")
    assert done.returncode == 1
    assert 5 < len(json.loads(done.stdout)) < 10
    error, summary = done.stderr.splitlines()
    assert "feats.ark, byte " in error
    assert summary.endswith("; 1 could not be served")
    done = command("predict bundle --feats scp:gone.scp --csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch("lstmgenre: error: gone.scp: .*No such file.*\n", done.stderr)
    (here / "feats.ark").write_bytes(b"")
    done = command("predict bundle --feats ark:feats.ark --json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lstmgenre: error: ark:feats.ark: holds nothing\n"


def test_samples_and_many_songs_in_python(music):
    system = lstmgenre.load("bundle")
    samples, rate = soundfile.read(music[0], dtype="float32")
    expected = system.predict(music[0])
    assert system.predict(samples, rate) == expected
    assert system.predict([(samples, rate), music[1]]) == [expected, system.predict(music[1])]
    assert system.predict((np.stack([samples, samples], axis=1), rate)).genre == expected.genre
    with pytest.raises(DataError, match="without a rate"):
        system.predict(samples)
    with pytest.raises(DataError, match="array: 10 samples are less than one window"):
        system.predict(np.zeros(10), 4000)


@pytest.mark.parametrize("held_frames", [4096, 4])  # all fit; or most are too long, and the others too many
@pytest.mark.parametrize("kind", ["svm", "vote"])
def test_songs_side_by_side_get_what_each_gets_alone(music, trained, held_frames, kind, monkeypatch):
    system = lstmgenre.load("bundle")
    if kind == "vote":
        system = replace(system, svm=None)
    sounds = [soundfile.read(path, dtype="float32") for path in sorted(trained.glob("*.wav"))]
    songs = [(samples[: len(samples) * (k % 5 + 1) // 5], rate) for k, (samples, rate) in enumerate(sounds)]
    assert len(songs) > 2 * 8
    assert len({len(samples) for samples, _ in songs}) == 5
    alone = [system.predict(*song) for song in songs]
    monkeypatch.setattr(bundle, "_HELD_FRAMES", held_frames)
    assert system.predict(songs) == alone


def test_songs_side_by_side_cost_one_another_nothing(music):
    system = lstmgenre.load("bundle")
    features = [np.full((3, system.dim), value, np.float32) for value in (0, 3e38, 1)]
    heard = [system.hear_features(features[0]), DataError("gone"), *map(system.hear_features, features[1:])]
    first, gone, too_loud, last = system.decide(heard)
    assert [first, last] == [system.predict_features(features[k]) for k in (0, 2)]
    assert gone is heard[1]
    assert isinstance(too_loud, ModelError)
    assert "not finite" in str(too_loud)


@pytest.mark.parametrize("listed", ["list", "-"])
def test_names_come_from_a_list(music, command, listed, tmp_path, monkeypatch):
    (tmp_path / "list").write_text(f"{music[2]}\r\n\n{music[0]}\n")
    monkeypatch.setattr("sys.stdin", open(tmp_path / "list"))  # noqa: SIM115
    done = command(f"predict bundle --files-from {listed} --jsonl")
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [music[2], music[0]]


def test_errors_call_files_as_they_were_named(music, command, here):
    (here / "music" / "empty.wav").touch()
    (here / "music" / "short.wav").write_bytes(open(music[0], "rb").read()[:300])  # noqa: SIM115
    for named in ("music", "./music", str(here / "music")):
        done = command(f"predict bundle {named}")
        errors = [line for line in done.stderr.splitlines() if ": error: " in line]
        assert [error.split(": error: ")[1].split(".wav")[0] for error in errors] == [
            os.path.join(named, name) for name in ("empty", "short")
        ]
    gone = command("predict bundle gone.wav")
    assert gone.stderr.startswith("lstmgenre: error: gone.wav: ")


def test_names_come_from_a_named_pipe(music, here):
    os.mkfifo("names")
    with subprocess.Popen(["sh", "-c", "printf '%s\\n' \"$@\" > names", "sh", *music]):
        assert read_list("names") == music


@pytest.mark.parametrize("content", ["{0}\r\n\r\n{1}\r\n", "\ufeff{0}\n{1}", "\ufeff{0}\r\n{1}\r\n\r\n"])
def test_lists_of_windows_are_lists(music, tmp_path, content):
    (tmp_path / "list").write_bytes(content.format(*music).encode())
    assert read_list(str(tmp_path / "list")) == music[:2]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a.wav\0b.wav\0", "zero bytes"), (b"\0\n", "zero bytes"), (b"a.wav\n-\n", "names -"), (b"-\r\n", "names -")],
)
def test_lists_that_name_no_files_are_refused_before_songs_are_listened_to(music, command, here, content, said):
    (here / "list").write_bytes(content)
    done = command("predict bundle music --files-from list --out out.csv")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr
    assert not (here / "out.csv").exists()


def test_a_file_has_a_song_once_however_often_it_is_named(music, command, here):
    done = command(f"predict bundle music '{music[0]}' music --out out.jsonl --jsonl")
    assert done.stderr.startswith("lstmgenre: 3 songs: ")
    assert [json.loads(line)["file"] for line in open("out.jsonl")] == music  # noqa: SIM115


@pytest.mark.parametrize("options", ["--out no/such/out.csv", "--m3u file", "--m3u file/a/lists", "--out file/out"])
def test_where_nothing_can_be_written_is_told_before_songs_are_listened_to(music, command, here, options, monkeypatch):
    (here / "file").write_text("mine")
    monkeypatch.setattr("lstmgenre.serving.answers", lambda *_: pytest.fail("songs were listened to"))
    done = command(f"predict bundle music {options}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "directory" in done.stderr
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize("options", ["--out out.csv", "--out closed/out.csv", "--m3u closed", "--m3u closed/a/lists"])
def test_directories_that_take_no_file_are_told_before_songs_are_listened_to(
    music, command, here, options, monkeypatch
):
    (here / "closed").mkdir()
    monkeypatch.setattr("lstmgenre.files.directories.os.access", lambda _, mode, **__: not mode & os.W_OK)
    monkeypatch.setattr("lstmgenre.serving.answers", lambda *_: pytest.fail("songs were listened to"))
    done = command(f"predict bundle music {options}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "nothing can be written in that directory" in done.stderr


def test_a_run_that_came_and_went_meanwhile_is_gone_on_with(tmp_path):
    first, second = (Answers(tmp_path / "out", jsonl=False) for _ in range(2))
    first.add(record("a", Prediction("rock", SCORES, [])))
    first.close()
    second.add(record("b", Prediction("jazz", SCORES, [])))
    second.close()
    lines = (tmp_path / "out").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "a", "b"]
    assert list(second.briefs) == ["a", "b"]


def test_a_song_that_another_run_has_added_meanwhile_is_not_added_again(tmp_path):
    first, second = (Answers(tmp_path / "out", jsonl=True) for _ in range(2))
    for answers in (first, second):
        answers.add(record("a", Prediction("rock", SCORES, [])))
        answers.close()
    assert len((tmp_path / "out").read_text().splitlines()) == 1


def test_of_songs_that_are_done_options_ask_what_the_file_tells(music, command, here):
    assert command("predict bundle music --out out.csv").returncode == 0
    for option in ("--against-tags", "--min-probability 0.5"):
        done = command(f"predict bundle music --out out.csv {option}")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert f"out.csv: has no {'tag' if 'tags' in option else 'probability'} of its songs" in done.stderr


def test_songs_that_another_model_has_named_are_said_to_be(music, command, here):
    assert "warning" not in command("predict bundle music --out out.csv").stderr
    assert "warning" not in command("predict bundle music --out out.csv").stderr
    content = (here / "out.csv").read_bytes()
    os.utime(here / "out.csv", (0, 0))
    done = command("predict bundle music --out out.csv")
    assert (done.returncode, done.stderr.count("warning: out.csv: is older than bundle: its songs keep")) == (0, 1)
    assert (here / "out.csv").read_bytes() == content


def test_songs_that_are_named_twice_are_no_earlier_runs(music, command):
    done = command(f"predict bundle music '{music[0]}'")
    assert len(done.stdout.splitlines()) == 4
    assert "earlier" not in done.stderr


def test_a_list_of_a_genre_without_songs_is_emptied_where_no_song_is_new(music, command, here):
    assert command("predict bundle music --out out.csv --m3u lists").returncode == 0
    for path in (here / "lists").iterdir():
        gone = [line for line in path.read_text().splitlines() if line.endswith(".wav")]
        for song in gone:
            os.unlink(song)
        break
    command("predict bundle music --out out.csv --m3u lists")
    assert gone
    assert path.read_text() == "#EXTM3U\n"


def test_audio_comes_by_standard_input(music, command, monkeypatch):
    monkeypatch.setattr("sys.stdin", open(music[0]))  # noqa: SIM115
    (song,) = json.loads(command("predict bundle - --json").stdout)
    assert song["file"] == "-"
    assert song["scores"] == lstmgenre.load("bundle").predict(music[0]).scores
    monkeypatch.setattr("sys.stdin", open("bundle/README.md"))  # noqa: SIM115
    done = command("predict bundle -")
    assert done.returncode == 1
    assert done.stderr.startswith("lstmgenre: error: -: ")


@pytest.mark.parametrize("where", ["pipe.wav", "music"])
def test_a_pipe_that_nobody_writes_to_keeps_nobody_waiting(music, command, where, here):
    os.mkfifo("pipe.wav" if where == "pipe.wav" else "music/pipe.wav")
    done = command(f"predict bundle {where} '{music[0]}' --jsonl")
    assert done.returncode == 1
    assert "pipe.wav" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["file"] == music[0]
    with pytest.raises(DataError, match="no regular file"):
        lstmgenre.load("bundle").predict("pipe.wav" if where == "pipe.wav" else "music/pipe.wav")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_run_goes_on_where_it_was_killed(music, command, form, here, monkeypatch):
    line = f"predict bundle music --out out --{form}"
    assert command(line).returncode == 0
    whole = (here / "out").read_bytes()
    assert len(whole.splitlines()) == 3 + (form == "csv")
    assert command(line).stderr.endswith("; 3 of them by an earlier run\n")
    assert (here / "out").read_bytes() == whole
    heads = [0, 1, 5, len(whole.splitlines(True)[0]) - 1, len(whole) - 1, whole.rindex(b"\n", 0, -1) + 1]
    for length in heads:
        (here / "out").write_bytes(whole[:length])
        assert command(line).returncode == 0
        assert (here / "out").read_bytes() == whole, length


@pytest.mark.parametrize("jsonl", [True, False])
@pytest.mark.parametrize("songs", [0, 1])
def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch, jsonl, songs):
    answers = Answers(tmp_path / "out", jsonl)
    for number in range(songs):
        answers.add(record(f"song {number}", Prediction("rock", SCORES, [])))
    before = (tmp_path / "out").read_bytes() if songs else b""
    write, room = os.write, [20]

    def fill(descriptor, content):
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr("lstmgenre.prediction.os.write", fill)
        with pytest.raises(DataError, match="out: cannot be written: No space left"):
            answers.add(record("one more", Prediction("rock", SCORES, [])))
    assert (tmp_path / "out").read_bytes() == before
    answers.close()
    assert list(Answers(tmp_path / "out", jsonl).briefs) == [f"song {number}" for number in range(songs)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("content", ["dear diary", "dear diary\n", "a,b\n1,2\n", '{"file": 3}\n', "[]\n", "\0\n"])
def test_a_file_of_somebody_elses_is_left_alone(content, form, tmp_path):
    path = tmp_path / "out"
    path.write_text(content)
    with pytest.raises(DataError, match=r"out:1: not .* predict has written"):
        Answers(path, form == "jsonl")
    assert path.read_text() == content


def test_answers_of_another_system_are_not_mixed(tmp_path):
    answers = Answers(tmp_path / "out", jsonl=False)
    answers.add(record("a", Prediction("rock", SCORES, [])))
    with pytest.raises(DataError, match="another run writes here"):
        Answers(tmp_path / "out", jsonl=False)
    with pytest.raises(DataError, match="another system"):
        answers.add(record("b", Prediction("rock", SCORES | {"folk": 0.0}, [])))
    answers.close()
    again = Answers(tmp_path / "out", jsonl=False)
    with pytest.raises(DataError, match="other options"):
        again.add(record("b", Prediction("rock", SCORES, []), tag="Rock"))
    assert again.briefs == {"a": Brief("a", "rock", 1.75, None)}


@pytest.mark.parametrize("jsonl", [True, False])
def test_names_and_tags_of_any_kind_come_back(tmp_path, jsonl):
    probable = Prediction("jazz", SCORES, [], {"rock": 0.25, "jazz": 0.75})
    names = ['a "b", c.mp3', "=1+1", "ü\x1b\r.wav", " end "]
    answers = Answers(tmp_path / "out", jsonl)
    for name in names:
        answers.add(record(name, probable, tag=name))
    answers.close()
    assert list(Answers(tmp_path / "out", jsonl).briefs.values()) == [Brief(n, "jazz", 0.75, n) for n in names]


def test_columns():
    probable = Prediction("rock", SCORES, [], {"rock": 0.75, "jazz": 0.25})
    cells = row(record("x", probable, tag="Rock"))
    assert csv_line(cells) == "file,genre,probability,tag,score_rock,score_jazz,probability_rock,probability_jazz\n"
    assert csv_line(cells.values()) == "x,rock,0.75,Rock,2.25,0.5,0.75,0.25\n"
    assert probable.unless_below(0.75).genre == "rock"
    assert probable.unless_below(0.76).genre == "unknown"
    with pytest.raises(DataError, match="no probabilities"):
        Prediction("rock", SCORES, []).unless_below(0.5)


def test_playlists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "favourites.m3u8").write_text("mine")
    songs = [Brief(name, genre, 1.0, None) for name, genre in (("b", "rock"), ("a", "rock"), ("c", "../x"))]
    write_playlists(tmp_path / "lists", [*songs, Brief("d\rx", "rock", 1.0, None)], ["rock", "jazz", "../x"])
    assert sorted(path.name for path in (tmp_path / "lists").iterdir()) == ["%2E.%2Fx.m3u8", "rock.m3u8"]
    assert (tmp_path / "lists/rock.m3u8").read_text() == f"#EXTM3U\n{tmp_path}/b\n{tmp_path}/a\n"
    write_playlists(tmp_path / "lists", songs[2:], ["rock", "jazz", "../x"])
    assert (tmp_path / "lists/rock.m3u8").read_text() == "#EXTM3U\n"
    assert (tmp_path / "favourites.m3u8").read_text() == "mine"


def test_songs_that_differ_from_their_tags_come_with_the_most_certain_first():
    of = [
        ("a", "rock", 0.5, "Jazz"),
        ("b", "rock", 0.9, "jazz"),
        ("c", "hip_hop", 1.0, "Hip-Hop"),
        ("d", "rock", 1, ""),
    ]
    assert [song.file for song in differing([Brief(*song) for song in of], is_same_genre)] == ["b", "a"]


def test_tags_and_playlists_on_the_command_line(music, command, here):
    system = lstmgenre.load("bundle")
    decisions = {}
    for song, tag in zip(music, ("HIGH", "polka", None), strict=True):
        samples, rate = soundfile.read(song)
        flac = song.replace(".wav", ".flac")
        with soundfile.SoundFile(flac, "w", rate, 1, format="FLAC", subtype="PCM_24") as file:
            if tag:
                file.genre = tag
            file.write(samples)
        os.unlink(song)
        decisions[flac] = (system.predict(flac).genre, tag)
    wrong = {file: tag for file, (genre, tag) in decisions.items() if tag and tag.lower() != genre}
    assert wrong
    for line in ("predict bundle music --against-tags", "predict bundle music --against-tags --out out.csv"):
        done = command(f"{line} --m3u lists")
        assert len(done.stdout.splitlines()) == len(wrong)
        assert re.search("^lstmgenre: 3 songs: .*; 2 with a genre tag$", done.stderr, re.MULTILINE)
        for file, tag in wrong.items():
            assert f"{file}: tagged {tag}, sounds like {decisions[file][0]} (" in done.stdout
    listed = {path.stem: path.read_text().splitlines()[1:] for path in (here / "lists").iterdir()}
    assert {os.path.relpath(file): genre for genre, files in listed.items() for file in files} == {
        file: genre for file, (genre, _) in decisions.items()
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("bundle", "nothing to name"),
        ("bundle - --files-from -", "not both"),
        ("bundle x --feats scp:y", "--feats takes the place of PATH"),
        ("bundle --files-from x --feats scp:y", "--feats takes the place of PATH"),
        ("bundle --feats scp:y --m3u z", "no --m3u"),
        ("bundle --feats scp:y --against-tags", "no tags"),
        ("bundle --feats y", "no rspecifier"),
        ("bundle --feats ''", "no rspecifier"),
        ("bundle x --csv --json", "--csv or --json, not both"),
        ("bundle x --json --out y", "--out takes --csv or --jsonl"),
        ("bundle x --timeline --out y", "no column in CSV"),
        ("bundle x --min-probability 1.5", "--min-probability"),
        ("bundle x --nj 0", "--nj"),
        ("bundle - --out y.csv", "standard input"),
        ("bundle x --out -", "--out takes a file"),
        ("bundle x - --out y.jsonl --jsonl", "standard input"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments, said, command):
    done = command(f"predict {arguments}")
    assert done.returncode == 2
    assert said in done.stderr


def test_folders_without_audio_and_systems_without_probabilities_are_said(music, command, here):
    (here / "empty").mkdir()
    done = command("predict bundle empty")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "empty: no audio there" in done.stderr
    done = command("predict bundle music --min-probability 0.5")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no probabilities" in done.stderr


def named(songs):
    if any(song.name == "deadly" for song in songs):
        os.kill(os.getpid(), signal.SIGKILL)
    return [Answer(song.name) for song in songs]


@pytest.mark.system
def test_a_song_that_kills_its_process_costs_no_other():
    tasks = [[Song("a"), Song("b")], [Song("c"), Song("deadly"), Song("d")], [Song("e")]]
    answers = list(by_processes(named, tasks, 2))
    assert [answer.name for answer in answers] == ["a", "b", "c", "deadly", "d", "e"]
    assert [answer.name for answer in answers if answer.error] == ["deadly"]
    assert answers[3].error == "deadly: its process was killed, for want of memory perhaps"


def square(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@pytest.mark.system
def test_a_process_that_is_killed_costs_its_item_alone():
    results = list(stream(square, range(10, 18), 2))
    assert isinstance(results[3], Lost)
    assert [r for r in results if not isinstance(r, Lost)] == [n * n for n in range(10, 18) if n != 13]
