"""Recordings of every kind that people have: to their end, in every segment, with what was wrong in one warning."""

import logging
import pickle
import struct

import av
import kaldiio
import numpy as np
import pytest
import soundfile

from lstmgenre import audio
from lstmgenre.errors import DataError
from tests import odd_audio
from tests.odd_audio import ARTIST, CUT, ODD, WHOLE, encoded, flac, id3, id3_text, mp3, noise, signal, vorbis, wav


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def kind(tmp_path, name):
    make, seconds = {**WHOLE, **ODD, **CUT}[name]
    return written(tmp_path, name, make()), seconds


@pytest.mark.parametrize("name", [*WHOLE, *ODD, *CUT])
def test_every_recording_is_decoded_to_its_end(tmp_path, capfd, name):
    path, seconds = kind(tmp_path, name)
    found = audio.probe(path)
    assert found.duration == pytest.approx(seconds, abs=0.03)
    assert capfd.readouterr() == ("", "")  # no library writes there


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_gives_no_warning(tmp_path, caplog, name):
    path, seconds = kind(tmp_path, name)
    assert audio.probe(path).warning is None
    samples = audio.load(str(path))
    assert len(samples) == pytest.approx(seconds * 22050, abs=0.03 * 22050)
    assert not caplog.records
    # The tone of all of them, at its place and loudness: nothing was decoded to noise.
    tone = np.abs(np.fft.rfft(samples[5000:27050] * np.hanning(22050)))
    assert tone.argmax() == 440
    level = tone[440] / 22050 * 4
    assert level == pytest.approx(0.3, rel=0.2)  # the sixth channel of 5.1 is for low frequencies


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_short_is_one_warning(tmp_path, caplog, name):
    path, seconds = kind(tmp_path, name)
    with caplog.at_level(logging.WARNING):
        samples = audio.load(str(path))
    assert len(samples) == pytest.approx(seconds * 22050, abs=0.03 * 22050)
    (record,) = caplog.records
    assert f"{path}: ends after {len(samples) / 22050:.2f} s, its header says" in record.getMessage()


@pytest.mark.parametrize("name", ["flipped_0.5.flac", "flipped.ogg", "flipped.m4a", "garbage_inside.mp3"])
def test_what_is_skipped_is_one_warning(tmp_path, caplog, name):
    path, _ = kind(tmp_path, name)
    with caplog.at_level(logging.WARNING):
        audio.load(str(path))
    (record,) = caplog.records
    assert "skipped" in record.getMessage()
    assert str(path) in record.getMessage()


@pytest.mark.parametrize("name", [*WHOLE, "joined_22050.mp3", "chained_thrice.ogg", "flipped_0.5.flac", "cut.mp3"])
def test_a_segment_has_the_samples_of_the_whole(tmp_path, monkeypatch, name):
    monkeypatch.setattr(audio.mixing, "BLOCK", 10_000)  # so that segments start in all of several blocks
    path, _ = kind(tmp_path, name)
    whole = audio.load(str(path))
    rng = np.random.default_rng(0)
    for _ in range(4):
        start, end = np.sort(rng.uniform(0, len(whole) / 22050, 2))
        part = audio.load(str(path), start=start, end=end)
        np.testing.assert_array_equal(part, whole[round(start * 22050) : round(end * 22050)])


@pytest.mark.parametrize("name", ["aac.m4a", "chained.ogg", "a.mp3"])
@pytest.mark.parametrize("held", [1, 4, 32])
def test_segments_in_any_order_have_the_samples_of_the_whole(tmp_path, monkeypatch, name, held):
    monkeypatch.setattr(audio.mixing, "BLOCK", 10_000)
    monkeypatch.setattr(audio.tracks, "_HELD", held)
    content = odd_audio.mp3() if name == "a.mp3" else kind(tmp_path, name)[0].read_bytes()
    paths = [str(written(tmp_path, f"{k}.{name}", content)) for k in range(2)]
    whole = audio.load(paths[0])
    rng = np.random.default_rng(0)
    with audio.Tracks() as tracks:
        for _ in range(30):
            path, (start, end) = rng.choice(paths), np.sort(rng.uniform(0, len(whole) / 22050, 2))
            if rng.random() < 0.1:
                with pytest.raises(DataError, match="past the end"):
                    tracks.open(path, 100, 101)
            if rng.random() < 0.1:
                np.testing.assert_array_equal(tracks.open(path)[:], whole)
            np.testing.assert_array_equal(
                tracks.open(path, start, end)[:], whole[round(start * 22050) : round(end * 22050)]
            )


def test_a_recording_is_decoded_once_for_segments_that_follow_one_another(tmp_path):
    path = str(written(tmp_path, "a.flac", flac()))
    runs = tmp_path / "runs"
    with audio.Tracks() as tracks:
        for start in np.arange(0, 1.5, 0.2):  # each overlaps with those before
            assert len(tracks.open(f"echo run >>{runs}; cat {path} |", start, start + 0.4)) == 8820
    assert runs.read_text() == "run\n"


def test_after_an_error_within_a_recording_it_is_opened_anew(tmp_path, monkeypatch):
    path = str(written(tmp_path, "a.flac", flac()))
    monkeypatch.setattr(audio.mixing, "BLOCK", 10_000)
    whole = audio.load(path)
    frames, broken = audio.recording.Recording.frames, [True]

    def failing(recording):
        for count, frame in enumerate(frames(recording)):
            if count == 17 and broken:
                broken.clear()
                raise DataError("the disk failed")
            yield frame

    monkeypatch.setattr(audio.recording.Recording, "frames", failing)
    with audio.Tracks() as tracks:
        np.testing.assert_array_equal(tracks.open(path, 0, 0.5)[:], whole[:11025])
        with pytest.raises(DataError, match="the disk failed"):
            tracks.open(path, 1.6, 1.9)
        np.testing.assert_array_equal(tracks.open(path, 1.6, 1.9)[:], whole[35280:41895])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_U8"),
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_32"),
        ("a.wav", "FLOAT"),
        ("a.flac", "PCM_S8"),
        ("a.flac", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.aiff", "PCM_16"),
        ("a.w64", "PCM_24"),
    ],
)
def test_what_is_not_lossy_is_what_was_written_to_the_bit(tmp_path, name, subtype, channels):
    samples = np.random.default_rng(0).uniform(-1, 1, (30000, channels))
    soundfile.write(tmp_path / name, samples, 22050, subtype=subtype)
    there, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(audio.load(str(tmp_path / name)), there @ np.full(channels, 1 / channels, np.float32))


@pytest.mark.parametrize("channels", [3, 6, 33, 300, 600, 1024])
def test_the_mean_of_many_channels(tmp_path, channels):
    samples = np.random.default_rng(0).uniform(-1, 1, (3000, channels))
    soundfile.write(tmp_path / "a.wav", samples, 22050, subtype="PCM_24")
    np.testing.assert_allclose(audio.load(str(tmp_path / "a.wav")), samples.mean(axis=1), atol=1e-6)


def test_a_rate_that_changes_within_a_file_is_resampled_as_two_files(tmp_path):
    first, second = wav(rate=22050), wav(rate=48000)
    whole = audio.load(str(written(tmp_path, "a.wav", first + second)))
    parts = [audio.load(str(written(tmp_path, "b.wav", content))) for content in (first, second)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_what_a_damaged_flac_frame_held_is_silence_and_the_rest_is_where_it_was(tmp_path):
    whole = audio.load(str(written(tmp_path, "a.flac", flac())))
    damaged = audio.load(str(written(tmp_path, "b.flac", odd_audio.flipped(flac(), 0.5))))
    assert len(damaged) == len(whole)
    differs = np.flatnonzero(damaged != whole)
    assert differs[-1] - differs[0] < 4608 / 2 + 50  # one frame at 44.1 kHz, and the resampler's reach
    assert not damaged[differs[0] + 50 : differs[-1] - 50].any()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio\n" * 100, noise(20000), bytes(20000), wav()[:44]])
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.ogg", "a.flac", "a.txt", "a"])
def test_what_holds_no_audio(tmp_path, capfd, name, content):
    path = written(tmp_path, name, content)
    for use in (audio.probe, lambda path: audio.load(str(path))):
        with pytest.raises(DataError, match=rf"{name}: (cannot be decoded|holds no audio).*replace the file") as error:
            use(path)
        assert "\n" not in str(error.value)
    assert audio.tags(path) == {}
    assert capfd.readouterr() == ("", "")


def test_a_film_without_sound_holds_no_audio(tmp_path):
    with av.open(tmp_path / "a.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        for part in (av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8)), None):
            container.mux(stream.encode(part))
    with pytest.raises(DataError, match="holds no audio"):
        audio.probe(tmp_path / "a.mkv")


@pytest.mark.parametrize("where", ["header", "anywhere"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_file_is_used_or_one_error(tmp_path, name, where):
    content = bytearray(WHOLE[name][0]())
    rng = np.random.default_rng(0)
    for at in rng.integers(0, 4000 if where == "header" else len(content), 20):
        content[at] = rng.integers(256)
    path = written(tmp_path, name, bytes(content))
    try:
        assert np.isfinite(audio.load(str(path))).all()
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 (either is right)


def test_more_than_eight_planes_are_read_where_they_are(tmp_path):
    """PyAV's to_ndarray crashes here, now and then: an m4a whose damage makes 32 channels of it."""
    content = bytearray(WHOLE["51.m4a"][0]())
    rng = np.random.default_rng(1)
    for at in rng.integers(0, 4000, 20):
        content[at] = rng.integers(256)
    path = written(tmp_path, "a.m4a", bytes(content))
    assert audio.probe(path).duration > 1
    assert len(audio.load(str(path))) > 22050


def test_a_playlist_opens_nothing(tmp_path):
    written(tmp_path, "secret.wav", wav())
    for name, content in [
        ("a.ffconcat", b"ffconcat version 1.0\nfile secret.wav\n"),
        ("a.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n"),
        ("a.wav", b"ffconcat version 1.0\nfile secret.wav\n"),
    ]:
        with pytest.raises(DataError):
            audio.load(str(written(tmp_path, name, content)))


def test_a_probe_tells_what_is_there(tmp_path):
    path = written(tmp_path, "a.mp3", id3(ARTIST) + mp3(channels=1, rate=48000))
    assert audio.probe(path) == audio.Probe(2.0, 48000, 1, "mp3float", {"artist": "Somebody"}, None)


def test_a_missing_file(tmp_path):
    for use in (audio.probe, audio.tags):
        with pytest.raises(DataError, match=r"none\.mp3: cannot be read"):
            use(tmp_path / "none.mp3")


# --- tags

TAGS = {"artist": "Björk", "album_artist": "Various", "album": "An Album", "title": "A Title", "genre": "Electronic"}


@pytest.mark.parametrize(
    ("name", "form", "codec"),
    [
        ("a.mp3", "mp3", "libmp3lame"),
        ("a.flac", "flac", "flac"),
        ("a.opus", "ogg", "libopus"),
        ("a.m4a", "ipod", "aac"),
        ("a.wma", "asf", "wmav2"),
        ("a.mka", "matroska", "aac"),
        ("a.wv", "wv", "wavpack"),
    ],
)
def test_the_tags_of_every_format(tmp_path, name, form, codec):
    rate = 48000 if codec == "libopus" else 44100
    content = encoded(form, codec, rate=rate, bit_rate=128000, tags=tuple(TAGS.items()))
    path = written(tmp_path, name, content)
    assert audio.tags(path) == TAGS
    assert audio.probe(path).tags == TAGS


def test_the_tags_of_a_wav(tmp_path):
    content = encoded("wav", "pcm_s16le", tags=tuple(TAGS.items()))
    assert audio.tags(written(tmp_path, "a.wav", content)) == {k: v for k, v in TAGS.items() if k != "album_artist"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  A\tB\r\nC  ", "A B C"),
        ("First\0Second", "First"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("\0", None),
        ("   ", None),
    ],
)
def test_a_tag_is_one_line_of_text(tmp_path, text, expected):
    path = written(tmp_path, "a.mp3", id3(id3_text(b"TPE1", text)) + mp3())
    assert audio.tags(path) == ({} if expected is None else {"artist": expected})


def test_of_several_values_it_is_the_first(tmp_path):
    comments = [b"ARTIST=One", b"ARTIST=Two", b"GENRE=Jazz", b"Genre=Blues", b"ALBUM ARTIST=All"]
    block = struct.pack("<II", 0, len(comments)) + b"".join(struct.pack("<I", len(c)) + c for c in comments)
    content = flac()
    changed = content[:42] + b"\x04" + struct.pack(">I", len(block))[1:] + block + content[42:]
    path = written(tmp_path, "a.flac", changed)
    assert audio.tags(path) == {"artist": "One", "album_artist": "All", "genre": "Jazz"}


def test_the_tags_of_what_is_cut_short(tmp_path):
    path = written(tmp_path, "a.mp3", id3(ARTIST) + mp3()[:2000])
    assert audio.tags(path) == {"artist": "Somebody"}


def test_vorbis_and_signal_are_what_they_are(tmp_path):
    # What the other tests are built from, by libsndfile, which has no part in decoding them.
    samples, rate = soundfile.read(written(tmp_path, "a.ogg", vorbis()))
    assert rate == 44100
    assert samples.shape == signal().shape
    assert np.std(samples - signal() / 32768) < 0.05


# --- archives


def archive(tmp_path, name, **options):
    """An archive of two utterances by kaldiio, and what wav.scp says of them."""
    rng = np.random.default_rng(0)
    audios = {key: rng.integers(-9999, 9999, (4000, 2)).astype(np.int16) for key in ("a", "b")}
    kaldiio.save_ark(
        f"{tmp_path}/{name}",
        {key: (22050, samples) for key, samples in audios.items()},
        scp=f"{tmp_path}/wav.scp",
        write_function="soundfile" if options else None,
        write_kwargs=options,
    )
    places = dict(line.split() for line in (tmp_path / "wav.scp").read_text().splitlines())
    return {place: audios[key].mean(axis=1) / 32768 for key, place in places.items()}


@pytest.mark.parametrize(
    "options",
    [{}, {"format": "flac"}, {"format": "wav"}, {"format": "wav", "subtype": "PCM_24"}],
)
def test_audio_in_an_archive(tmp_path, caplog, options):
    for place, expected in archive(tmp_path, "wav.ark", **options).items():
        np.testing.assert_array_equal(audio.load(place), expected.astype(np.float32))
        rate, theirs = kaldiio.load_mat(place)
        assert rate == 22050
        assert len(theirs) == len(expected)
        part = audio.load(place, start=0.05, end=0.1)
        np.testing.assert_array_equal(part, expected.astype(np.float32)[round(0.05 * 22050) : round(0.1 * 22050)])
    assert not caplog.records


def test_a_payload_that_is_cut_short(tmp_path):
    place = list(archive(tmp_path, "wav.ark", format="flac"))[-1]
    content = (tmp_path / "wav.ark").read_bytes()
    offset = int(place.rpartition(":")[2])
    (tmp_path / "wav.ark").write_bytes(content[: offset + 40])
    with pytest.raises(DataError, match=r"wav\.ark:\d+: "):
        audio.load(place)


class Evil:
    def __reduce__(self):
        return (open, ("ran", "w"))


@pytest.mark.parametrize("payload", [b"PKL" + pickle.dumps(Evil()), b"AUDIO\1\x28" + pickle.dumps(Evil()).ljust(40)])
def test_a_pickle_is_never_opened(here, payload):
    (here / "wav.ark").write_bytes(b"a " + payload)
    with pytest.raises(DataError, match=r"wav\.ark:2: cannot be decoded"):
        audio.load("wav.ark:2")
    assert not (here / "ran").exists()
