"""Corpora against stand-in trees with the quirks of the real ones, and against Kaldi's rules of data directories."""

import collections
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import medfilt, stft

from lstmgenre import audio
from lstmgenre.corpora import Track, demo, ismir2004, slug, write_data_dir
from lstmgenre.errors import DataError, FormatError
from tests.music import assert_kaldi_takes, genre_counts, left_out


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


# --- ids

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=20, unique=True))
def test_any_names_give_a_valid_directory(tmp_path_factory, pairs):
    tracks = [Track("g", artist, name, f"/x/{i}.wav") for i, (artist, name) in enumerate(pairs)]
    data = write_data_dir(tmp_path_factory.mktemp("data"), tracks, ["g"])
    assert_kaldi_takes(data)
    assert sorted(data.wav_scp.values()) == sorted(track.path for track in tracks)


@given(st.lists(names, min_size=1, max_size=20, unique=True))
def test_tracks_without_an_artist_are_their_own(tmp_path_factory, titles):
    tracks = [Track("g", None, title, f"/x/{i}.wav") for i, title in enumerate(titles)]
    data = write_data_dir(tmp_path_factory.mktemp("data"), tracks, ["g"])
    assert_kaldi_takes(data)
    assert len(set(data.utt2spk.values())) == len(titles)


@pytest.mark.parametrize(
    ("text", "id_"),
    [("Les Filles de Sainte-Colombe", "les_filles_de_sainte_colombe"), ("Björk!", "bjork"), ("_x__1_", "x_1")],
)
def test_slug(text, id_):
    assert slug(text) == id_


def test_names_in_other_scripts_stay_apart():
    assert slug("Кино") != slug("Аквариум")
    assert slug("Кино").isascii()


@pytest.mark.parametrize("name", ["a.wav |", "a.wav:12", "a\n.wav", "a.wav "])
def test_a_path_that_kaldi_takes_for_something_else(tmp_path, name):
    with pytest.raises(DataError, match="rename it"):
        write_data_dir(tmp_path, [Track("g", "a", "b", tmp_path / name)], ["g"])


def test_a_track_listed_twice(tmp_path):
    with pytest.raises(DataError, match=r"x\.wav: .*twice"):
        write_data_dir(tmp_path, [Track("g", "a", "b", tmp_path / "x.wav")] * 2, ["g"])


# --- ISMIR 2004: written here in the dialects of the published lists

TRACKLISTS = {
    "training": """\
"class","artist","album","track","track number","file_path"
"classical","lute_player","il_libro_d_intavolatura_1620","passo_e_mezzo","4","classical/lute_player/il_libro_d'intavolatura_(1620)/4-passo_e_mezzo.mp3"
"classical","the_consort","fantasies","set_a_6","1","classical/the_consort/fantasies/1-set_a_6.mp3"
"electronic","consort","r&b_#1","wow","2","electronic/consort/r&b_#1/2-wow!.mp3"
"jazz_blues","trio","live","that's_it","10","jazz/trio/live_[$HOME]/10-that's it `ls`; echo.mp3"
"metal_punk","noise","loud","one","1","punk/noise/loud/1-one.mp3"
"rock_pop","band","first","song","1","pop/band/first/1-song.mp3"
"world","drums","skin","dance","7","world/drums/skin/7-dance.mp3"
""",
    "development": """\
"class","artist","album","track","track number","file path"
"classical","artist_1","album_1","track_1","1","artist_1_album_1_track_1.mp3"
"classical","artist_1","album_1","track_2","2","artist_1_album_1_track_2.mp3"
"rock_pop","artist_10","album_1","track_1","1","artist_10_album_1_track_1.mp3"
"world","artist_2","album_1","track_1","1","artist_2_album_1_track_1.mp3"
""",
    "evaluation": """\
"electronic","plant_07","mix","kruhov_objazd","5","electronic/plant_07/mix/5-kruhov\ufffd_objazd.mp3","56714"
"electronic","plant_07","mix","other_objazd","6","electronic/plant_07/mix/6-other_objazd.mp3","56715"
"world","drums","skin","song","8","world/drums/skin/8-song.mp3","57581"
""",
}
ON_THE_DISK = {
    "d'intavolatura": "d_intavolatura",
    "5-kruhov\ufffd_objazd": "05-kruhovy_objazd",
}


def listed_path(line):
    return line.split('","')[5].removesuffix('"')


def make_ismir(src, published=True, tracklists=TRACKLISTS):
    for split, text in tracklists.items():
        tracklist = (src / "metadata" / split if published else src / split) / "tracklist.csv"
        tracklist.parent.mkdir(parents=True, exist_ok=True)
        tracklist.write_text(text, encoding="utf-8")
        for line in text.splitlines():
            if not line.startswith('"class"'):
                path = listed_path(line)
                for listed, real in ON_THE_DISK.items():
                    path = path.replace(listed, real)
                touch((src / "audio" / split if published else src / split) / path)
    return src


@pytest.mark.parametrize("published", [True, False])
def test_ismir2004(tmp_path, caplog, published):
    src = make_ismir(tmp_path / "IS MIR's", published)
    data = ismir2004.prepare(src, tmp_path / "data")
    assert {name: len(split.utterances) for name, split in data.items()} == {"train": 7, "test": 4, "evaluation": 3}
    for name, split in data.items():
        assert split.path == tmp_path / "data" / name
        assert_kaldi_takes(split)
        assert split.genres == ["classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world"]
        assert all(map(is_file, split.wav_scp.values()))
    # The class is that of the list, the folders have others.
    assert data["train"].utt2genre["noise-loud_1_one"] == "metal_punk"
    assert data["train"].utt2genre["band-first_1_song"] == "rock_pop"
    assert data["train"].utt2spk["the_consort-fantasies_1_set_a_6"] == "the_consort"
    assert data["test"].utt2spk["artist_10-album_1_1_track_1"] == "artist_10"
    audio_root = src / "audio" if published else src
    assert data["train"].wav_scp["trio-live_10_that_s_it"] == str(
        audio_root / "training/jazz/trio/live_[$HOME]/10-that's it `ls`; echo.mp3"
    )
    repairs = [record.getMessage() for record in caplog.records]
    assert len(repairs) == 2
    assert "d'intavolatura" in repairs[0]
    assert repairs[0].endswith("il_libro_d_intavolatura_(1620)/4-passo_e_mezzo.mp3")
    assert repairs[1].endswith("05-kruhovy_objazd.mp3")


def is_file(path):
    with open(path, "rb"):
        return True


def many_tracks(count):
    header = TRACKLISTS["development"].splitlines()[0]
    rows = [f'"world","artist_{i}","album_1","track_1","1","artist_{i}_album_1_track_1.mp3"' for i in range(count)]
    return "\n".join([header, *rows, ""])


def test_up_to_five_percent_may_be_missing(tmp_path, caplog):
    src = make_ismir(tmp_path / "src", tracklists=TRACKLISTS | {"development": many_tracks(40)})
    for i in (3, 17):
        (src / f"audio/development/artist_{i}_album_1_track_1.mp3").unlink()
    data = ismir2004.prepare(src, tmp_path / "data")
    assert len(data["test"].utterances) == 38
    assert_kaldi_takes(data["test"])
    for i in (3, 17):
        assert f"artist_{i}_album_1_track_1.mp3: is not there, left out" in caplog.text
    (src / "audio/development/artist_20_album_1_track_1.mp3").unlink()
    with pytest.raises(DataError, match=r"development/tracklist\.csv: 3 of its 40 files are missing, .*artist_17_"):
        ismir2004.prepare(src, tmp_path / "data")


def test_a_name_that_wav_scp_cannot_have_is_left_out(tmp_path):
    text = many_tracks(40).replace("artist_3_album_1_track_1.mp3", "artist_3.mp3:12")
    src = make_ismir(tmp_path / "src", tracklists=TRACKLISTS | {"development": text})
    data = ismir2004.prepare(src, tmp_path / "data")
    assert len(data["test"].utterances) == 39
    assert set(left_out(tmp_path / "data").values()) == {"name that cannot stand in wav.scp"}


def test_a_repair_needs_a_single_candidate_that_no_row_lists(tmp_path):
    tracklists = TRACKLISTS | {"development": many_tracks(40)}
    src = make_ismir(tmp_path / "src", tracklists=tracklists)
    (src / "audio/development/artist_3_album_1_track_1.mp3").unlink()
    for name in ("artist-3_album_1_track_1.mp3", "artist_3_album_1-track_1.mp3"):
        touch(src / "audio/development" / name)
    data = ismir2004.prepare(src, tmp_path / "data")
    assert len(data["test"].utterances) == 39
    assert not any("artist-3" in path for path in data["test"].wav_scp.values())


def test_evaluation_is_optional_the_others_are_not(tmp_path, caplog):
    src = make_ismir(tmp_path / "src")
    shutil.rmtree(src / "metadata/evaluation")
    assert ismir2004.prepare(src, tmp_path / "data").keys() == {"train", "test"}
    assert "no evaluation split" in caplog.text
    shutil.rmtree(src / "metadata/development")
    with pytest.raises(DataError, match=r"development/tracklist\.csv: is this ISMIR 2004\?"):
        ismir2004.prepare(src, tmp_path / "data")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('"polka","a","b","c","1","x.mp3"', r":2: unknown class 'polka'"),
        ('"world","a","b"', r":2: 3 columns"),
        ('"world","a","b","c","1","x.mp3', r":\d: "),
        ("", ": lists no tracks"),
    ],
)
def test_a_bad_track_list(tmp_path, row, message):
    src = make_ismir(tmp_path / "src")
    path = src / "metadata/development/tracklist.csv"
    path.write_text(TRACKLISTS["development"].splitlines()[0] + "\n" + row + "\n")
    with pytest.raises(FormatError, match=r"development/tracklist\.csv" + message) as error:
        ismir2004.prepare(src, tmp_path / "data")
    assert "\n" not in str(error.value)


def test_nothing_is_written_where_a_split_is_bad(tmp_path):
    src = make_ismir(tmp_path / "src")
    (src / "metadata/evaluation/tracklist.csv").write_text("nonsense\n")
    with pytest.raises(FormatError):
        ismir2004.prepare(src, tmp_path / "data")
    assert not (tmp_path / "data").exists()


# --- the demo corpus


@pytest.fixture(scope="module")
def tiny_demo(tmp_path_factory):
    return demo.prepare(tmp_path_factory.mktemp("demo"), tracks=5, seconds=(1, 2))


def test_demo_has_the_genres_of_the_paper_in_mixed_formats(tiny_demo):
    for split in tiny_demo.values():
        assert_kaldi_takes(split)
        assert split.genres == list(ismir2004.GENRES)
        assert genre_counts({"x": split})["x"] == dict.fromkeys(ismir2004.GENRES, 5)
        infos = [soundfile.info(path) for path in split.wav_scp.values()]
        assert collections.Counter((i.format, i.subtype, i.samplerate, i.channels) for i in infos) == {
            ("WAV", "PCM_24", 44100, 2): 6,
            ("FLAC", "PCM_16", 44100, 2): 6,
            ("MP3", "MPEG_LAYER_III", 44100, 1): 6,
            ("OGG", "VORBIS", 22050, 2): 6,
            ("WAV", "PCM_16", 22050, 1): 6,
        }
        assert all(1 <= i.duration <= 2.01 for i in infos)
    assert not set(tiny_demo["train"].utt2spk.values()) & set(tiny_demo["test"].utt2spk.values())


def test_demo_is_its_seed(tmp_path):
    def decoded(name, seed):
        data = demo.prepare(tmp_path / name, seed=seed, tracks=4, seconds=(0.5, 0.6))["test"]
        return [audio.load(data.wav_scp[utterance]) for utterance in data.utterances]

    first, again, other = decoded("a", 1), decoded("b", 1), decoded("c", 2)
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(first, other, strict=True))


def test_demo_wants_a_seed_that_is_not_negative(tmp_path):
    with pytest.raises(DataError, match="seed -1"):
        demo.prepare(tmp_path, seed=-1)


def test_demo_tracks_differ_and_do_not_clip(tiny_demo):
    tracks = [audio.load(path) for split in tiny_demo.values() for path in split.wav_scp.values()]
    assert len({samples[5000:6000].tobytes() for samples in tracks}) == len(tracks)
    assert all(0.1 < np.abs(samples).max() < 1 for samples in tracks)


@pytest.mark.parametrize("number", range(4))
def test_the_pair_has_the_same_frames_in_another_order(number):
    """Without their backgrounds the long-term spectra agree, and the directions round the circle are opposite."""
    artist = demo.Artist(key=110, brightness=1, tempo=1)
    spectra, directions = [], []
    for genre in demo.PAIR:
        samples = demo._chords(np.random.default_rng(number), artist, 20 * 22050, genre)
        frequencies, _, frames = stft(samples, 22050, nperseg=2048)
        power = np.abs(frames) ** 2
        spectra.append(power.mean(axis=1))
        share_below = np.array([power[frequencies < f].sum(axis=0) / power.sum(axis=0) for f in (230, 560)])
        chord = medfilt(2 - (share_below > 0.1).sum(axis=0), 5)  # which octave the lowest partials are in
        assert set(chord) == {0, 1, 2}
        steps = np.diff(chord) % 3
        directions.append(np.sum(steps == 1) - np.sum(steps == 2))
    np.testing.assert_allclose(*spectra, rtol=0.1, atol=1e-3 * spectra[0].max())
    assert directions[0] < -10
    assert directions[1] > 10
