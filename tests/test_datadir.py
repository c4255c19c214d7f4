"""Data directories: Kaldi's rules, what breaks them, and dividing them as Kaldi's scripts do."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmgenre.datadir import DataDir, Excerpt, choose, combine, fix, folds, hold_out, mend, validate
from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables import read_map

KALDI = Path(__file__).parent / "data" / "kaldi_io" / "scripts"
GENRES = ["classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world"]


def make(path, artists=8, tracks=3, **content):
    """Tracks a0-t0, a0-t1, ... with the artists' genres in turn."""
    names = {f"a{i}-t{j}": f"a{i}" for i in range(artists) for j in range(tracks)}
    genres = {name: GENRES[int(artist[1:]) % 4] for name, artist in names.items()}
    audio = {name: f"audio/{name}.wav" for name in names}
    return DataDir(Path(path), **{"utt2spk": names, "utt2genre": genres, "wav_scp": audio} | content)


@pytest.fixture
def data(tmp_path):
    directory = make(tmp_path / "train")
    directory.feats = {name: f"feats.ark:{i}" for i, name in enumerate(directory.utterances)}
    directory.utt2num_frames = dict.fromkeys(directory.utterances, 1304)
    directory.utt2dur = dict.fromkeys(directory.utterances, 30.125)
    directory.write()
    return directory


def messages(path):
    return [f"{Path(p.where).name}: {p.message}" for p in validate(DataDir.read(path, strict=False))]


# Reading and writing --------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_and_valid(data):
    assert DataDir.read(data.path) == data
    assert validate(DataDir.read(data.path)) == []
    assert (data.path / "utt2dur").read_text().startswith("a0-t0 30.125\na0-t1 30.125\n")


def test_files_are_sorted_as_in_the_c_locale(tmp_path):
    names = ["b-1", "a_1", "B-1", "a-1", "ä-1", "a1-1"]
    make(tmp_path, utt2spk={name: name for name in names}, utt2genre={}, wav_scp=dict.fromkeys(names, "x")).write()
    sort = os.popen(f"LC_ALL=C sort {tmp_path}/utt2spk").read()
    assert (tmp_path / "utt2spk").read_text() == sort
    assert DataDir.read(tmp_path).utterances == sorted(names, key=str.encode)
    assert validate(DataDir.read(tmp_path)) == []


def test_spk2utt_is_that_of_kaldi(tmp_path):
    DataDir(tmp_path, utt2spk=read_map(KALDI / "utt2spk")).write()
    assert (tmp_path / "spk2utt").read_bytes() == (KALDI / "spk2utt").read_bytes()


def test_files_without_content_any_more_are_removed(data):
    data.feats, data.genre_order = {}, ["x"]
    data.write()
    assert not (data.path / "feats.scp").exists()
    data.genre_order = []
    data.write()
    assert not (data.path / "genres").exists()


def test_genres_are_sorted_or_as_the_file_says(data):
    assert data.genres == sorted(GENRES[:4])
    (data.path / "genres").write_text("rock_pop\nmetal_punk\njazz_blues\nelectronic\nclassical\n")
    assert DataDir.read(data.path).genres == ["rock_pop", "metal_punk", "jazz_blues", "electronic", "classical"]


def test_where_the_audio_is(data):
    assert data.recording_of("a1-t2") == ("audio/a1-t2.wav", None, None)
    data.segments = {"a1-t2": Excerpt("a0-t0", 1.5, 4.0)}
    assert data.recording_of("a1-t2") == ("audio/a0-t0.wav", 1.5, 4.0)
    data.segments = {"a1-t2": Excerpt("a0-t0", 1.5, -1.0)}  # to the end, as in Kaldi's extract-segments
    data.write()
    assert DataDir.read(data.path).recording_of("a1-t2") == ("audio/a0-t0.wav", 1.5, None)
    with pytest.raises(DataError, match="segments: no line for a0-t0"):
        data.recording_of("a0-t0")
    del data.wav_scp["a0-t0"]
    with pytest.raises(DataError, match=r"wav\.scp: no line for a0-t0; run lstmgenre validate-data"):
        data.recording_of("a1-t2")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("feats.scp", "extract-scat"),
        ("utt2num_frames", "extract-scat"),
        ("utt2genre", "prep-data"),
        ("wav.scp", "prep-data"),
    ],
)
def test_a_file_that_is_needed_is_asked_for_with_its_command(data, name, command):
    DataDir.read(data.path, need=[name])
    (data.path / name).write_text("")
    with pytest.raises(DataError, match=f"{name}: not there or empty; make it with lstmgenre {command}"):
        DataDir.read(data.path, need=[name])
    (data.path / name).unlink()
    with pytest.raises(DataError, match=name):
        DataDir.read(data.path, need=[name])
    with pytest.raises(DataError, match="nowhere: no such data directory; make it with lstmgenre prep-data"):
        DataDir.read(data.path / "nowhere")


# Validating and mending -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("wav.scp", "a9-t0", "line 25: a key without a value"),
        ("wav.scp", "", "line 25: an empty line"),
        ("utt2spk", "a9-t0 a9 b", "a9-t0: 'a9 b' should be one word"),
        ("utt2genre", "a0-t0 world", "line 25: the key a0-t0 comes twice"),
        ("segments", "a0-t0 a0-t0 1", "a0-t0: 'a0-t0 1' should be RECORDING START END"),
        ("segments", "a0-t0 a0-t0 2 1", "a0-t0: a segment from 2.0 to 1.0 s"),
        ("segments", "a0-t0 a0-t0 0 nan", "a0-t0: 'nan' is no finite number"),
        ("segments", "a0-t0 a0-t0 nan -1", "a0-t0: 'nan' is no finite number"),
        ("segments", "a0-t0 a0-t0 inf -1", "a0-t0: 'inf' is no finite number"),
        ("segments", "a0-t0 a0-t0 0 -2", "a0-t0: a segment from 0.0 to -2.0 s"),
        ("segments", "a0-t0 a0-t0 0 inf", "a0-t0: 'inf' is no finite number"),
        ("segments", "a0-t0 a0-t0 x 1", "a0-t0: 'x' is no number"),
        ("segments", "a0-t0 a0-t0 0 1_0", "a0-t0: '1_0' is no number"),
        ("segments", "a0-t0 a0-t0 0 ١٠", "a0-t0: '١٠' is no number"),
        ("segments", "a0-t0 a0-t0 0 1e400", "a0-t0: '1e400' is no finite number"),
        ("utt2num_frames", "a9-t0 many", "a9-t0: 'many' is no 32-bit integer"),
        ("utt2num_frames", "a9-t0 1_0", "a9-t0: '1_0' is no 32-bit integer"),
        ("utt2num_frames", "a9-t0 १२", "a9-t0: '१२' is no 32-bit integer"),
        ("utt2num_frames", "a9-t0 ²", "a9-t0: '²' is no 32-bit integer"),
        ("utt2num_frames", "a9-t0 1.0", "a9-t0: '1.0' is no 32-bit integer"),
        ("utt2num_frames", "a9-t0 4294967296", "a9-t0: '4294967296' is no 32-bit integer"),
        ("utt2num_frames", f"a9-t0 {'9' * 5000}", "is no 32-bit integer"),
        ("utt2dur", "a9-t0 1_0.5", "a9-t0: '1_0.5' is no number"),
        ("utt2dur", "a9-t0 infinity", "a9-t0: 'infinity' is no finite number"),
        ("utt2dur", "a9-t0 ٣", "a9-t0: '٣' is no number"),
        ("utt2num_frames", "a9-t0 0", "a9-t0: 0 frames"),
        ("utt2dur", "a9-t0 0", "a9-t0: a duration of 0.0 s"),
        ("genres", "two words", "'two words' should be one genre"),
        ("spk2utt", "a9", "line 9: a key without a value"),
    ],
)
def test_a_damaged_line_is_an_error_or_a_problem(data, name, line, message):
    path = data.path / name
    path.write_text((path.read_text() if path.exists() else "") + f"{line}\n")
    with pytest.raises(FormatError) as error:
        DataDir.read(data.path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    problem = validate(DataDir.read(data.path, strict=False))[0]
    assert message in problem.message
    assert (problem.where, problem.remedy) == (str(path), f"lstmgenre validate-data {data.path} --fix")


def test_a_file_that_is_cut_off_or_not_utf8_is_a_problem(data):
    with open(data.path / "wav.scp", "ab") as stream:
        stream.write(b"a9-t0 caf\xe9.wav\n")
    with open(data.path / "utt2genre", "ab") as stream:
        stream.write(b"a9-t0 roc")
    assert messages(data.path)[:2] == [
        "utt2genre: line 25: the line has no end: is the file cut off? If not, add a newline",
        "wav.scp: line 25: not UTF-8 (byte 0xe9); convert the file",
    ]


def test_order_and_agreement_are_checked(data):
    lines = (data.path / "utt2genre").read_text().splitlines(keepends=True)
    (data.path / "utt2genre").write_text("".join([*lines[1:], lines[0]]))
    (data.path / "feats.scp").write_text("a0-t0 f.ark:1\nz-t0 f.ark:2\n")
    (data.path / "spk2utt").write_text("a0 a0-t0\n")
    assert messages(data.path) == [
        "utt2genre: not in C order: a0-t0 comes after a7-t2",
        "spk2utt: does not say the same as utt2spk",
        "feats.scp: no line for a0-t1 and 22 more",
        "feats.scp: z-t0 not in utt2spk",
    ]
    fixed = fix(DataDir.read(data.path))
    fixed.write()
    assert fixed.utterances == ["a0-t0"]
    assert messages(data.path) == []


def test_what_mends_a_directory_can_be_given_to_a_shell(tmp_path):
    make(tmp_path / "my data").write()
    (tmp_path / "my data" / "utt2genre").write_text("x y\n")
    (tmp_path / "my data" / "feats.scp").write_text("")
    remedies = [shlex.split(problem.remedy) for problem in validate(DataDir.read(tmp_path / "my data"))]
    assert ["lstmgenre", "extract-scat", str(tmp_path / "my data")] in remedies
    assert ["lstmgenre", "validate-data", str(tmp_path / "my data"), "--fix"] in remedies


def test_an_empty_file_is_a_problem(data):
    (data.path / "feats.scp").write_text("")
    assert validate(DataDir.read(data.path)) == [
        ("empty", str(data.path / "feats.scp"), f"lstmgenre extract-scat {data.path}")
    ]


def test_segments_need_their_recordings(data):
    data.wav_scp = {"r1": "one.wav", "r2": "two.wav"}
    data.segments = {name: Excerpt("r1", i, i + 1) for i, name in enumerate(data.utterances)}
    data.segments["a0-t1"] = Excerpt("r3", 0, 1)
    data.write()
    assert messages(data.path) == [
        "segments: the recording of a0-t1 is not in wav.scp",
        "wav.scp: no segment is of the recording r2",
    ]
    fixed = fix(data)
    assert "a0-t1" not in fixed.utterances
    assert fixed.wav_scp == {"r1": "one.wav"}
    assert validate(fixed) == []


def timed(data, **segments):
    """The directory with segments of one recording each, of 20 s unless told; utt2dur says 20 s."""
    data.segments = {name: Excerpt(name, 5.0, 25.0) for name in data.utterances}
    data.segments |= {
        name.replace("_", "-"): Excerpt(name.replace("_", "-"), *times) for name, times in segments.items()
    }
    data.utt2dur = dict.fromkeys(data.utterances, 20.0)
    data.write()
    return [message for message in messages(data.path) if "lies past" in message]


def test_segments_past_their_recordings_are_told_by_the_durations_of_recordings(data):
    data.reco2dur = dict.fromkeys(data.wav_scp, 25.0)
    assert timed(data) == []
    within = {"a0_t0": (5.0, 25.5), "a0_t1": (24.9, -1.0)}  # Kaldi's extract-segments cuts half a second off
    assert not any("reco2dur" in message for message in timed(data, **within))
    past = timed(data, a0_t0=(5.0, 25.6), a0_t1=(25.0, -1.0), a0_t2=(100.0, 120.0))
    assert "segments: a0-t0 and 2 more lies past the end of its recording, by reco2dur" in past


def test_segments_past_their_recordings_are_told_by_the_durations_of_utterances(data):
    assert timed(data, a0_t0=(5.0, 25.4), a0_t1=(5.0, -1.0), a0_t2=(6.0, 15.0)) == []
    for times in (5.0, 26.0), (5.0, 1000.0), (100.0, 101.0), (15.0, 21.0):
        assert timed(data, a0_t0=times) == ["segments: a0-t0 lies past the end of its recording, by utt2dur"]
    data.utt2dur = {}
    data.segments["a0-t0"] = Excerpt("a0-t0", 5.0, 1000.0)
    data.write()
    assert messages(data.path) == []  # nothing is known


def test_durations_of_recordings_go_with_their_recordings(data):
    data.segments = {name: Excerpt(f"r{i % 2}", i, i + 1) for i, name in enumerate(data.utterances)}
    data.wav_scp, data.reco2dur = {"r0": "0.wav", "r1": "1.wav"}, {"r0": 100.0, "r1": 99.5}
    data.utt2dur = dict.fromkeys(data.utterances, 1.0)
    data.write()
    assert DataDir.read(data.path) == data
    assert messages(data.path) == []
    assert data.subset(["a0-t0"]).reco2dur == {"r0": 100.0}


# Choosing utterances --------------------------------------------------------------------------------------------------


def test_utterances_are_chosen_by_list_genre_and_number(data, tmp_path):
    (tmp_path / "list").write_text("a1-t2 and the rest of a line\na0-t1\n\na7-t0\n")
    assert choose(data, tmp_path / "list").utterances == ["a0-t1", "a1-t2", "a7-t0"]
    assert choose(data, tmp_path / "list", ["electronic"]).utterances == ["a1-t2"]
    assert choose(data, first=4).utterances == data.utterances[:4]
    some = choose(data, genres=["metal_punk", "classical"])
    assert set(some.utt2genre.values()) == {"classical", "metal_punk"}
    assert some.genres == ["classical", "metal_punk"]
    assert choose(data, genres=["classical"], first=2).utterances == ["a0-t0", "a0-t1"]


def test_of_each_genre_utterances_come_from_all_over_its_list(data):
    part = choose(data, per_genre=2)
    assert Counter(part.utt2genre.values()) == dict.fromkeys(GENRES[:4], 2)
    assert {utterance[:2] for utterance in part.utterances} == set(data.utt2spk.values())  # two artists a genre
    assert choose(data, per_genre=100).utterances == data.utterances
    assert choose(data, per_genre=1).utterances == [f"a{i}-t0" for i in range(4)]


def test_what_is_chosen_is_a_valid_directory_with_all_that_belongs_to_it(data):
    data.cmvn = {artist: f"cmvn.ark:{k}" for k, artist in enumerate(data.spk2utt)}
    data.genre_order = sorted(GENRES[:4], reverse=True)
    part = choose(data, genres=["jazz_blues", "electronic"], per_genre=3)
    part.write(data.path.parent / "part")
    written = DataDir.read(data.path.parent / "part")
    assert validate(written) == []
    assert written.genres == ["jazz_blues", "electronic"]
    assert written.cmvn.keys() == written.spk2utt.keys() == set(part.utt2spk.values())
    for name in "wav_scp", "utt2spk", "utt2genre", "feats", "utt2num_frames", "utt2dur":
        assert getattr(written, name) == {u: getattr(data, name)[u] for u in part.utterances}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"genres": ["polka"]}, "no genre polka: the genres are classical, electronic, jazz_blues, metal_punk"),
        ({"first": 25}, "24 utterances, not 25, can be chosen from"),
        ({"genres": ["classical"], "first": 7}, "6 utterances, not 7"),
    ],
)
def test_what_cannot_be_chosen_is_told(data, options, said):
    with pytest.raises(DataError, match=said):
        choose(data, **options)


def test_a_list_of_others_is_refused(data, tmp_path):
    (tmp_path / "list").write_text("a0-t0\nnobody\n")
    with pytest.raises(DataError, match=r"list: no utterance nobody in .*train"):
        choose(data, tmp_path / "list")
    with pytest.raises(DataError, match="nothing: cannot be read"):
        choose(data, tmp_path / "nothing")
    (tmp_path / "empty").write_text("")
    with pytest.raises(DataError, match="no utterance is left"):
        choose(data, tmp_path / "empty")


def test_names_must_sort_by_artist(tmp_path):
    make(tmp_path, utt2spk={"a_1": "a", "aB_1": "aB", "x": "y"}, utt2genre={}, wav_scp={}).write()
    assert messages(tmp_path) == [
        "wav.scp: neither audio nor features",
        "utt2spk: the name of x does not start with the artist's",
        "utt2spk: sorted by utterance, it is not sorted by artist",
    ]


def test_genres_must_be_in_the_file(data):
    (data.path / "genres").write_text("classical\nelectronic\njazz_blues\n")
    assert messages(data.path) == ["utt2genre: genre metal_punk is not in the file genres"]


def test_an_empty_directory_is_not_valid(tmp_path):
    assert messages(tmp_path) == ["utt2spk: no utterances", "wav.scp: neither audio nor features"]
    with pytest.raises(DataError, match="no utterance is in every file"):
        fix(DataDir.read(tmp_path))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_fixed_is_valid_and_nothing_common_is_lost(tmp_path_factory, draws):
    path = tmp_path_factory.mktemp("fix")
    data = make(path, artists=3, tracks=2)
    names = st.lists(st.sampled_from([*data.utt2spk, "zz-1"]), unique=True)
    files = {"utt2spk": "a0", "utt2genre": "jazz", "wav.scp": "x.wav", "feats.scp": "x.ark:1"}
    kept = {name: draws.draw(names) for name in files}
    for name, value in files.items():
        lines = [f"{key} {key[:2] if name == 'utt2spk' else value}\n" for key in kept[name]]
        (path / name).write_text("".join(lines))
    common = set.intersection(*(set(keys) for keys in kept.values() if keys)) if any(kept.values()) else set()
    broken = DataDir.read(path, strict=False)
    if not common:
        with pytest.raises(DataError):
            fix(broken)
        return
    fix(broken).write()
    if kept["utt2spk"] and (kept["wav.scp"] or kept["feats.scp"]):
        assert validate(DataDir.read(path)) == []
    assert DataDir.read(path).utterances == sorted(common)


def test_mending_says_what_it_drops_and_keeps_the_old_files(data, caplog):
    mend(data.path)
    assert not (data.path / ".backup").exists()  # nothing was wrong
    whole = (data.path / "utt2genre").read_bytes()
    (data.path / "utt2genre").write_bytes(whole[:-1])
    (data.path / "feats.scp").write_text("".join((data.path / "feats.scp").read_text().splitlines(True)[2:]))
    mend(data.path)
    assert "utt2genre: line 24: the line has no end" in caplog.text
    assert "3 of 24 utterances dropped: a0-t0 and 2 more" in caplog.text
    assert validate(DataDir.read(data.path)) == []
    assert len(DataDir.read(data.path).utterances) == 21
    assert (data.path / ".backup/utt2genre").read_bytes() == whole[:-1]


# Dividing -------------------------------------------------------------------------------------------------------------


def test_a_subset_has_its_part_of_every_file(data):
    part = data.subset(["a1-t1", "a0-t0"])
    for content in (part.utt2spk, part.utt2genre, part.wav_scp, part.feats, part.utt2num_frames, part.utt2dur):
        assert list(content) == ["a0-t0", "a1-t1"]
    assert part.feats["a1-t1"] == data.feats["a1-t1"]
    with pytest.raises(DataError, match="no utterance nobody"):
        data.subset(["nobody"])


def test_the_artists_statistics_go_with_them(data):
    data.cmvn = {artist: f"cmvn.ark:{i}" for i, artist in enumerate(data.spk2utt)}
    data.write()
    assert DataDir.read(data.path) == data
    assert validate(DataDir.read(data.path)) == []
    assert data.subset(["a1-t0", "a1-t1", "a3-t2"]).cmvn == {"a1": "cmvn.ark:1", "a3": "cmvn.ark:3"}
    parts = [data.subset(utterances) for utterances in data.spk2utt.values()]
    assert [part.cmvn for part in parts] == [{artist: line} for artist, line in data.cmvn.items()]
    assert combine(parts).cmvn == data.cmvn
    (data.path / "cmvn.scp").write_text("a0 x:0\na9 x:9\n")
    assert messages(data.path) == [
        "cmvn.scp: no line for the artist a1 and 6 more",
        "cmvn.scp: a9 is no artist of utt2spk",
    ]
    fixed = fix(DataDir.read(data.path))
    assert (fixed.cmvn, set(fixed.utt2spk.values())) == ({"a0": "x:0"}, {"a0"})


def test_halves_combine_to_the_whole(data):
    first, second = (data.subset(data.utterances[part]) for part in (slice(None, 12), slice(12, None)))
    second.path = Path("second")
    assert combine([second, first]) == DataDir(**{**vars(data), "path": second.path})


def test_combining_keeps_what_all_have_and_refuses_contradictions(data, caplog):
    other = make(data.path.parent / "other", artists=2, utt2genre={"a0-t0": "classical"})
    both = combine([data, other])
    assert both.feats == {}
    assert "feats.scp is not in all" in caplog.text
    assert both.wav_scp == data.wav_scp
    other.utt2genre["a0-t0"] = "world"
    with pytest.raises(DataError, match="utt2genre: a0-t0: another directory says classical"):
        combine([data, other])
    data.genre_order = GENRES
    with pytest.raises(DataError, match="different genres"):
        combine([data, make("x", utt2spk={"z-1": "z"}, utt2genre={"z-1": "world"}, wav_scp={"z-1": "z.wav"})])


@given(fraction=st.floats(0.01, 0.5), seed=st.integers(0, 9), artists=st.integers(5, 20))
def test_held_out_are_whole_artists_and_every_genre_stays(fraction, seed, artists):
    data = make("exp/train", artists=artists)
    train, cv = hold_out(data, fraction, seed)
    assert sorted(train.utterances + cv.utterances) == data.utterances
    assert not set(train.utt2spk.values()) & set(cv.utt2spk.values())
    assert set(train.utt2genre.values()) == set(data.utt2genre.values())
    assert train.genres == cv.genres == data.genres
    assert cv.utterances
    assert (train, cv) == hold_out(data, fraction, seed)


@given(
    sizes=st.lists(st.tuples(st.sampled_from(GENRES[:3]), st.integers(1, 20)), min_size=2, max_size=40),
    fraction=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_genres_are_held_out_in_like_shares_to_within_half_an_artist(sizes, fraction, seed):
    tracks = [(f"a{i:02}", f"a{i:02}-t{j:02}", genre) for i, (genre, size) in enumerate(sizes) for j in range(size)]
    data = DataDir(Path("x"), utt2spk={u: a for a, u, _ in tracks}, utt2genre={u: g for _, u, g in tracks})
    if Counter(genre for genre, _ in sizes).most_common(1)[0][1] == 1:
        return  # nobody can be spared
    _, cv = hold_out(data, fraction, seed)
    held, total = Counter(cv.utt2genre.values()), Counter(data.utt2genre.values())
    for genre in total:
        largest = max(size for of, size in sizes if of == genre)
        # A single artist may be the smallest that there is, and yet too large.
        bound = largest if len(cv.spk2utt) == 1 else largest / 2
        assert abs(held[genre] - fraction * total[genre]) <= bound


def test_artists_twice_as_large_as_a_genres_share_fill_the_tenth_all_the_same():
    tracks = [(f"{g}{a}", f"{g}{a}-{t}", g) for g in GENRES for a in range(5) for t in range(2)]
    data = DataDir(Path("x"), utt2spk={u: a for a, u, _ in tracks}, utt2genre={u: g for _, u, g in tracks})
    _, cv = hold_out(data)
    assert len(cv.utterances) == len(data.utterances) // 10 // 2 * 2
    assert set(Counter(cv.utt2genre.values()).values()) == {2}


def test_a_tenth_is_held_out_and_the_seed_decides_which():
    data = make("exp/train", artists=40)
    train, cv = hold_out(data)
    assert (len(train.utterances), len(cv.utterances)) == (108, 12)
    assert (train.path, cv.path) == (Path("exp/train_tr90"), Path("exp/train_cv10"))
    assert hold_out(data, seed=1)[1].utterances != cv.utterances


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_what_is_no_share_is_not_held_out(fraction):
    with pytest.raises(DataError, match="between 0 and 1"):
        hold_out(make("x"), fraction)


def test_an_artist_that_is_all_of_a_genre_is_never_held_out():
    genres = {name: name.split("-")[0] for name in make("x").utt2spk}
    with pytest.raises(DataError, match="no artist can be held out"):
        hold_out(make("x", utt2genre=genres))
    with pytest.raises(DataError, match="no artist can be held out"):
        hold_out(make("x", artists=1, utt2genre={}))


@pytest.mark.parametrize("n", [2, 5])
def test_folds_hold_out_every_track_once_and_no_artist_on_both_sides(n):
    data = make("exp/train", artists=40)
    divisions = folds(data, n)
    assert sorted(u for _, test in divisions for u in test.utterances) == data.utterances
    for i, (train, test) in enumerate(divisions, 1):
        assert sorted(train.utterances + test.utterances) == data.utterances
        assert not set(train.utt2spk.values()) & set(test.utt2spk.values())
        assert train.genres == test.genres == data.genres
        assert (train.path, test.path) == (Path(f"exp/train/{i}/train"), Path(f"exp/train/{i}/test"))
        for genre in data.genres:
            share = [list(part.utt2genre.values()).count(genre) for part in (test, data)]
            assert abs(share[0] - share[1] / n) <= 3  # to within an artist, who has three tracks
    assert divisions == folds(data, n)
    assert divisions != folds(data, n, seed=1)


def test_folds_divide_a_genre_of_one_artist_by_track_and_say_so(caplog):
    data = make("x", artists=12)
    data.utt2genre = {
        u: "solo" if artist == data.utt2spk[data.utterances[0]] else "rest" for u, artist in data.utt2spk.items()
    }
    divisions = folds(data, 3)
    assert all("solo" in part.utt2genre.values() for division in divisions for part in division)
    assert "genre solo" in caplog.text


def test_folds_that_would_leave_a_genre_out_of_training_are_refused():
    data = make("x", artists=4)
    with pytest.raises(DataError, match="12 tracks of 12 artists do not make 5 folds"):
        folds(data, 5)
    data.utt2genre = {u: "one" if u == data.utterances[0] else "rest" for u in data.utterances}
    with pytest.raises(DataError, match="one would be held out"):
        folds(data, 2)
