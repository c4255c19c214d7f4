"""Corpora that lists and tags describe: libraries by their tags, tables, GTZAN and FMA, as stand-in trees."""

import collections
import os
import shutil

import numpy as np
import pytest
import soundfile

from lstmgenre.corpora import fma, gtzan, table, tagged
from lstmgenre.corpora.labels import artist_in, genre_in
from lstmgenre.errors import DataError, FormatError
from tests.music import assert_kaldi_takes, genre_counts, left_out, sets_of, write_music


def total(data):
    return sum(genre_counts(data).values(), collections.Counter())


# --- tags


@pytest.mark.parametrize(
    ("tags", "artist"),
    [
        ({"artist": "A"}, "A"),
        ({"artist": "A feat. B"}, "A"),
        ({"artist": "A (ft. B)"}, "A"),
        ({"artist": "A;B"}, "A"),
        ({"artist": "Daft Punk", "album_artist": "Various Artists"}, "Daft Punk"),
        ({"artist": "Solo of the band", "album_artist": "The Band"}, "The Band"),
        ({"artist": "VA", "album_artist": "V.A."}, None),
        ({"artist": "  "}, None),
        ({"album": "A"}, None),
        ({"artist": "!!!"}, "!!!"),
        ({"artist": "Unknown Mortal Orchestra"}, "Unknown Mortal Orchestra"),
        ({"artist": "Defeater"}, "Defeater"),
    ],
)
def test_the_artist_in_tags(tags, artist):
    assert artist_in(tags) == artist


@pytest.mark.parametrize(("genre", "found"), [("Rock", "Rock"), (" Rock; Pop", "Rock"), ("", None), (" ;x", None)])
def test_the_genre_in_tags(genre, found):
    assert genre_in({"genre": genre}) == found


def library(src):
    for k in range(6):
        write_music(src / f"Artist {k}/Album/{k} rock.flac", genre=["Rock", "rock", "ROCK"][k % 3], artist=f"R {k}")
        write_music(src / f"Artist {k}/Album/{k} pop.ogg", genre="Hip-Hop" if k % 2 else "Rap")
    write_music(src / "in the root.flac", genre="Rock", artist="R 0")
    write_music(src / "Artist 0/untagged.flac")
    write_music(src / "Artist 0/rare.flac", genre="Polka")
    return src


def test_a_library_by_its_tags(tmp_path, caplog):
    src = library(tmp_path / "src")
    (tmp_path / "map.csv").write_text("spelling,genre\nrap,hip hop\n")
    data = tagged.prepare(src, tmp_path / "data", genres=tmp_path / "map.csv", min_tracks=2)
    assert total(data) == {"Rock": 7, "hip_hop": 6}
    for split in data.values():
        assert_kaldi_takes(split)
    artists = {artist for split in data.values() for artist in split.utt2spk.values()}
    assert artists == {f"r_{k}" for k in range(6)} | {f"artist_{k}" for k in range(6)}
    assert left_out(tmp_path / "data") == {
        str(src / "Artist 0/untagged.flac"): "without a genre",
        str(src / "Artist 0/rare.flac"): "genre of too few tracks",
    }
    assert "fewer than 2 tracks: Polka (1)" in caplog.text


@pytest.mark.parametrize("text", ["rap\n", "rap,hip hop,x\n", ",hip hop\n", 'rap,"hip\n'])
def test_a_bad_map_of_genres(tmp_path, text):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(FormatError, match=r"map\.csv:\d"):
        tagged.prepare(library(tmp_path / "src"), tmp_path / "data", genres=tmp_path / "map.csv")


# --- tables


def test_a_table_with_splits(tmp_path):
    for name in ("1.wav", "sub/2.wav", "3.wav", "4.wav", "5.wav", "6.wav"):
        write_music(tmp_path / "music" / name)
    write_music(tmp_path / "elsewhere.wav")
    (tmp_path / "music/files.csv").write_text(
        "\ufeffPath,Genre,Artist,Split,Note\n"
        "1.wav,rock,A,train,\nsub/2.wav,rock,A,TEST,\n3.wav,hip hop,,training,\n4.wav,hip hop,B,validation,\n"
        f"{tmp_path}/elsewhere.wav,hip hop,C,test,\n\n"
        "gone.wav,rock,A,train,\n1.wav,rock,A,test,\n5.wav,,A,train,\n6.wav,rock,A,sometimes,\n6.wav,rock\n",
        encoding="utf-8",
    )
    data = table.prepare(tmp_path / "music/files.csv", tmp_path / "data")
    assert genre_counts(data) == {
        "train": {"rock": 1, "hip_hop": 1},
        "valid": {"hip_hop": 1},
        "test": {"rock": 1, "hip_hop": 1},
    }
    assert data["train"].utt2spk == {"a-1": "a", "3": "3"}
    for split in data.values():
        assert_kaldi_takes(split)
    reasons = {os.path.basename(path): reason for path, reason in left_out_rows(tmp_path / "data")}
    assert reasons == {
        "gone.wav": "missing",
        "1.wav": "listed twice",
        "5.wav": "without a genre",
        "6.wav": "without a split",
    }


def left_out_rows(out):
    return [line.split(",")[:2] for line in (out / "left_out.csv").read_text().splitlines()[1:]]


def test_a_genre_that_a_split_leaves_untrained_is_told(tmp_path, caplog):
    rows = [f"{genre}{k}.wav,{genre},{split}" for genre, split in (("a", "train"), ("b", "test")) for k in range(2)]
    for row in rows:
        write_music(tmp_path / row.split(",")[0])
    (tmp_path / "files.csv").write_text("\n".join(["path,genre,split", *rows]))
    assert genre_counts(table.prepare(tmp_path / "files.csv", tmp_path / "data"))["train"] == {"a": 2}
    assert "no track to train on: b" in caplog.text
    (tmp_path / "files.csv").write_text("\n".join(["path,genre,split", *rows]).replace("train", "test"))
    with pytest.raises(DataError, match="no track to train on"):
        table.prepare(tmp_path / "files.csv", tmp_path / "data")


def test_a_table_without_splits_is_split(tmp_path):
    rows = [f"{genre}{k}.wav,{genre},{genre} {k}" for genre in "ab" for k in range(8)]
    for row in rows:
        write_music(tmp_path / row.split(",")[0])
    (tmp_path / "files.csv").write_text("\n".join(["path,genre,artist,split", *(f"{row}," for row in rows)]))
    with_empty = table.prepare(tmp_path / "files.csv", tmp_path / "data")
    assert total(with_empty) == {"a": 8, "b": 8}
    assert with_empty.keys() == {"train", "test"}
    (tmp_path / "files.csv").write_text("\n".join(["path,genre,artist", *rows]))
    assert sets_of(table.prepare(tmp_path / "files.csv", tmp_path / "data")) == sets_of(with_empty)


@pytest.mark.parametrize("text", ["", "path,class\nx.wav,rock\n", 'path,genre\n"x.wav,rock\n', "path;genre\n"])
def test_what_is_no_table(tmp_path, text):
    (tmp_path / "files.csv").write_text(text)
    with pytest.raises(FormatError, match=r"files\.csv:\d"):
        table.prepare(tmp_path / "files.csv", tmp_path / "data")


def test_odd_paths_in_a_table_abort_nothing(tmp_path):
    for k in range(4):
        write_music(tmp_path / f"{k}.wav")
    rows = [f"{k}.wav,{'ab'[k % 2]}" for k in range(4)]
    odd = ["/,a", ".,a", "..,a", '"new\nline.wav",a', "x.wav |,a", "nul\0.wav,a", "- ,a", "/dev/zero,a", "/dev/null,a"]
    (tmp_path / "files.csv").write_text("\n".join(["path,genre", *rows, *odd, ""]))
    data = table.prepare(tmp_path / "files.csv", tmp_path / "data")
    assert total(data) == {"a": 2, "b": 2}


# --- GTZAN


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory):
    """GTZAN as it is passed around: short excerpts here, one broken, a copy as au of another."""
    src = tmp_path_factory.mktemp("gtzan")
    one = write_music(src / "one.wav", 0.4)
    for genre in ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"):
        (src / "Data/genres_original" / genre).mkdir(parents=True)
        for k in range(100):
            shutil.copy(one, src / f"Data/genres_original/{genre}/{genre}.{k:05}.wav")
    one.unlink()
    (src / "Data/genres_original/jazz/jazz.00054.wav").write_bytes(b"\0" * 1000)
    (src / "Data/images_original").mkdir()
    (src / "Data/images_original/blues00000.png").touch()
    soundfile.write(src / "Data/genres_original/blues/blues.00000.au", np.zeros(9000), 22050)
    return src


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory):
    """A data directory for both splits, so that the excerpts are decoded once."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.slow
def test_gtzan_by_the_filtered_lists(taken_in, excerpts, caplog):
    caplog.set_level("INFO")
    data = gtzan.prepare(excerpts, taken_in)
    assert {name: len(split.utterances) for name, split in data.items()} == {"train": 442, "valid": 197, "test": 290}
    for split in data.values():
        assert_kaldi_takes(split)
        assert len(split.genres) == 10
    assert data["test"].utt2genre["blues_00012"] == "blues"
    assert data["valid"].utt2genre["blues_00000"] == "blues"
    said = [record.getMessage() for record in caplog.records if "jazz.00054" in record.getMessage()]
    assert len(said) == 1
    assert "broken in common copies" in said[0]
    reasons = collections.Counter(left_out(taken_in).values())
    assert reasons == {"filtered out": 70, "cannot be decoded": 1, "there twice": 1}


@pytest.mark.slow
def test_gtzan_by_chance_is_warned_of(taken_in, excerpts, caplog):
    data = gtzan.prepare(excerpts, taken_in, filtered=False, test_fraction=0.3)
    assert total(data) == dict.fromkeys(data["train"].genres, 100) | {"jazz": 99}
    assert "its scores flatter" in caplog.text


def test_gtzan_as_au_and_in_part(tmp_path, caplog):
    for genre in ("blues", "rock"):
        for k in (0, 1, 12, 13, 29, 30, 31):
            path = tmp_path / f"genres/{genre}/{genre}.{k:05}.au"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(k).normal(size=9000) / 9, 22050)
    data = gtzan.prepare(tmp_path / "genres", tmp_path / "data")
    assert data["train"].utterances
    reasons = collections.Counter(left_out(tmp_path / "data").values())
    assert reasons["missing"] == 930 - sum(total(data).values())
    with pytest.raises(DataError, match="is this GTZAN"):
        gtzan.prepare(tmp_path / "data", tmp_path / "other")


# --- FMA

HEAD = """\
,album,album,artist,artist,set,set,track,track
,comments,title,id,name,split,subset,genre_top,title
track_id,,,,,,,,
"""
# track, artist, split, subset, top genre
TRACKS = [
    (2, 1, "training", "medium", "Hip-Hop"),
    (140, 54, "training", "small", "Folk"),
    (141, 54, "training", "small", "Folk"),
    (5000, 60, "training", "small", "Old-Time / Historic"),
    (10000, 61, "validation", "small", "Folk"),
    (12000, 62, "test", "small", "Old-Time / Historic"),
    (98565, 63, "training", "small", "Folk"),
    (99134, 63, "training", "small", "Folk"),
    (130000, 64, "test", "small", "Folk"),  # is not there
    (130001, 65, "training", "large", ""),
    (130002, 66, "test", "large", "Folk"),
    (155320, 67, "test", "full", "Folk"),
]


@pytest.fixture
def clips(tmp_path):
    lines = [f'{t},"a ""quoted"",\ncomment",x,{a},n,{split},{s},{g},t' for t, a, split, s, g in TRACKS]
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata/tracks.csv").write_text(HEAD + "\n".join(lines) + "\n")
    for track, *_ in TRACKS:
        if track != 130000:
            path = write_music(tmp_path / f"music/{track // 1000:03}/{track:06}.wav")
            path.rename(path.with_suffix(".mp3"))
    (tmp_path / "music/099/099134.mp3").write_bytes(b"ID3" + bytes(500))
    return tmp_path / "music", tmp_path / "fma_metadata"


@pytest.mark.parametrize(
    ("subset", "train", "test"),
    [
        ("small", {"Folk": 3, "Old-Time_Historic": 1}, {"Old-Time_Historic": 1}),
        ("medium", {"Folk": 3, "Old-Time_Historic": 1, "Hip-Hop": 1}, {"Old-Time_Historic": 1}),
        ("large", {"Folk": 3, "Old-Time_Historic": 1, "Hip-Hop": 1}, {"Old-Time_Historic": 1, "Folk": 1}),
    ],
)
def test_fma(tmp_path, clips, caplog, subset, train, test):
    data = fma.prepare(*clips, tmp_path / "data", subset=subset)
    assert genre_counts(data) == {"train": train, "valid": {"Folk": 1}, "test": test}
    for split in data.values():
        assert_kaldi_takes(split)
    assert data["train"].utt2spk["54-000140"] == "54"
    assert data["train"].wav_scp["54-000140"] == str(clips[0] / "000/000140.mp3")
    reasons = left_out(tmp_path / "data")
    assert reasons.pop(str(clips[0] / "099/099134.mp3")) == "cannot be decoded"
    assert reasons.pop(str(clips[0] / "130/130000.mp3")) == "missing"
    assert reasons == ({str(clips[0] / "130/130001.mp3"): "without a genre"} if subset == "large" else {})
    assert "098565.mp3 (known to hold a second or less)" in caplog.text


def test_fma_takes_the_file_for_its_folder(tmp_path, clips):
    data = fma.prepare(clips[0], clips[1] / "tracks.csv", tmp_path / "data")
    assert total(data) == {"Folk": 4, "Old-Time_Historic": 2}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "", "no column set.subset"),
        (lambda text: text.replace("genre_top", "genres"), r"tracks\.csv:1: has no column track\.genre_top"),
        (lambda text: text + "7,8\n", r"tracks\.csv:\d+: no row"),
        (lambda text: text + '9,"a', r"tracks\.csv:\d+: "),
    ],
)
def test_what_is_not_the_list_of_fma(tmp_path, clips, edit, message):
    path = clips[1] / "tracks.csv"
    path.write_text(edit(path.read_text()))
    with pytest.raises(FormatError, match=message):
        fma.prepare(*clips, tmp_path / "data")


def test_fma_elsewhere(tmp_path, clips):
    with pytest.raises(DataError, match="no clip of the small subset is there"):
        fma.prepare(tmp_path, clips[1], tmp_path / "data")
    with pytest.raises(DataError, match=r"tracks\.csv"):
        fma.prepare(clips[0], tmp_path, tmp_path / "data")
