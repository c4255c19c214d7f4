"""Decoding against what soundfile wrote, resampling against closed forms and against the whole at once."""

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly

from lstmgenre import audio
from lstmgenre._torchaudio import import_functional, resample
from lstmgenre.audio import mixing
from lstmgenre.errors import DataError


def sine(frequency, seconds, rate=44100, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write(path, samples, rate=44100, **options):
    soundfile.write(path, samples, rate, **options)
    return str(path)


@pytest.mark.parametrize(
    "rate",
    [1000, 1001, 8000, 11025, 16000, 22049, 22051, 32000, 44056, 44099, 44100, 48000, 48001, 96000, 767999, 768000],
)
def test_a_resampled_sine_is_the_sine_of_the_new_rate(tmp_path, rate):
    frequency = min(1000, rate // 4)
    path = write(tmp_path / "a.wav", sine(frequency, 1, rate), rate, subtype="FLOAT")
    samples = audio.load(path)
    assert samples.dtype == np.float32
    assert samples.shape == (22050,)
    inside = slice(500, -500)  # the ends are resampled against silence
    np.testing.assert_allclose(samples[inside], sine(frequency, 1, 22050)[inside], atol=2e-3)


def test_what_is_above_the_new_nyquist_frequency_is_gone(tmp_path):
    samples = audio.load(write(tmp_path / "a.wav", sine(15000, 1)))
    assert np.abs(samples[500:-500]).max() < 0.5 * 0.01


def test_a_dc_of_two_channels_is_their_mean(tmp_path):
    path = write(tmp_path / "a.wav", np.full((44100, 2), [0.5, -0.25]), subtype="PCM_24")
    np.testing.assert_allclose(audio.load(path)[500:-500], 0.125, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_16"}, 4e-5),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.flac", {"subtype": "PCM_16"}, 4e-5),
        ("a.ogg", {}, 0.05),
        ("a.mp3", {}, 0.05),
    ],
)
@pytest.mark.parametrize("how", ["path", "pipe"])
def test_every_format_by_path_and_by_pipe(tmp_path, name, options, tolerance, how):
    left, right = sine(440, 2, 22050), sine(660, 2, 22050)
    path = write(tmp_path / name, np.stack([left, right], axis=1), 22050, **options)
    samples = audio.load(path if how == "path" else f"cat {shlex.quote(path)} |")
    assert samples.shape == left.shape
    np.testing.assert_allclose(samples, (left + right) / 2, atol=tolerance)


@pytest.mark.parametrize("rate", [1050, 11025, 32000, 33075, 44100, 48000, 352800])
@pytest.mark.parametrize("length", [1, 7, 999, 1000, 1001, 5000, 12345])
def test_blocks_do_not_show(tmp_path, monkeypatch, rate, length):
    noise = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    path = write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    monkeypatch.setattr(mixing, "BLOCK", 1000)
    whole = resample(torch.from_numpy(noise), rate, 22050).numpy()
    np.testing.assert_allclose(audio.load(path), whole, rtol=0, atol=1e-6)


def test_noise_below_the_band_edge_agrees_with_scipy(tmp_path):
    rng = np.random.default_rng(0)
    smooth = resample_poly(rng.uniform(-0.3, 0.3, 11025), 4, 1)  # nothing above 5.5 kHz
    samples = audio.load(write(tmp_path / "a.wav", smooth, 44100, subtype="FLOAT"))
    np.testing.assert_allclose(samples[500:-500], smooth[::2][500:-500], atol=5e-3)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_segment_is_a_cut_of_the_recording(tmp_path, name):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (3 * 22050, 2))
    path = write(tmp_path / name, noise, 22050)
    whole = audio.load(path)
    for cut, expected in [
        ({"start": 1, "end": 2.5}, whole[22050:55125]),
        ({"start": 2}, whole[44100:]),
        ({"end": 1}, whole[:22050]),
        ({"start": 2, "end": 3.4}, whole[44100:]),  # Kaldi's overshoot
    ]:
        np.testing.assert_allclose(audio.load(path, **cut), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("start", "end"), [(0, 3.6), (3, None), (3, 4), (1e9, 2e9)])
def test_a_segment_past_the_end(tmp_path, start, end):
    path = write(tmp_path / "a.wav", sine(440, 3))
    with pytest.raises(DataError, match=r"a\.wav: .*past the end of 3\.00 s"):
        audio.load(path, start=start, end=end)


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))])
def test_a_segment_that_is_none(tmp_path, start, end):
    path = write(tmp_path / "a.wav", sine(440, 3))
    with pytest.raises(DataError, match="want 0 <= start < end"):
        audio.load(path, start=start, end=end)


def test_quantise_gives_the_samples_of_a_16_bit_file(tmp_path):
    loud = np.concatenate([sine(440, 0.5, 22050, amplitude=1.3), [1.0, -1.0, 1.5 / 32768]])
    path = write(tmp_path / "a.wav", loud, 22050, subtype="FLOAT")
    write(tmp_path / "16.wav", loud, 22050, subtype="PCM_16")
    samples = audio.load(path, quantise=True)
    steps = samples * 32768
    np.testing.assert_array_equal(steps, np.round(steps))
    assert steps.min() == -32768
    assert steps.max() == 32767
    expected, _ = soundfile.read(tmp_path / "16.wav")
    np.testing.assert_allclose(samples, expected, atol=1.01 / 32768)
    np.testing.assert_allclose(samples, loud.clip(-1, 32767 / 32768), atol=0.51 / 32768)


@pytest.mark.parametrize("content", [b"", b"not audio\n", b"RIFF\0\0\0\0WAVE", b"\0" * 5000])
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw"])
def test_what_is_not_audio(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.\w+: (cannot be decoded|holds no audio)") as error:
        audio.load(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("error")  # pytest makes a warning of what Python would print
def test_a_broken_header_makes_no_traceback_in_the_decoder(tmp_path):
    path = tmp_path / "a.aiff"
    write(path, np.zeros((3000, 2)))
    content = bytearray(path.read_bytes())
    assert content[38:42] == b"SSND"
    content[41] = 0x7F  # libsndfile goes on to seek to where no file is, which Python's files answer with an exception
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.aiff: "):
        audio.load(str(path))


def test_a_file_without_samples(tmp_path):
    with pytest.raises(DataError, match=r"a\.wav: holds no audio"):
        audio.load(write(tmp_path / "a.wav", np.zeros((0, 2))))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.wav"):
        audio.load(str(tmp_path / "none.wav"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite(tmp_path, value):
    samples = sine(440, 3)
    samples[2 * 44100] = value
    with pytest.raises(DataError, match=r"a\.wav: a sample near (1\.99|2\.00) s is not a finite number"):
        audio.load(write(tmp_path / "a.wav", samples, subtype="FLOAT"))


@pytest.mark.parametrize("rate", [1, 999, 768001, 2**31 - 1])
def test_a_rate_outside_sense(tmp_path, rate):
    with pytest.raises(DataError, match=rf"a\.wav: has {rate} samples a second: want 1000 to 768000"):
        audio.load(write(tmp_path / "a.wav", sine(440, 0.1), rate))


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.aiff", "a.au", "a.w64"])
def test_a_truncated_track_is_used_and_said(tmp_path, caplog, name):
    path = tmp_path / name
    write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 5 * 22050), 22050)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, logger="lstmgenre.audio"):
        samples = audio.load(str(path))
    assert 1.5 * 22050 < len(samples) < 3 * 22050
    assert "its header says 5.00 s" in caplog.text


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_streamed_wav_is_whole(tmp_path, caplog, size):
    content = bytearray(Path(write(tmp_path / "a.wav", sine(440, 2, 22050), 22050)).read_bytes())
    assert content[36:40] == b"data"
    content[4:8] = content[40:44] = size.to_bytes(4, "little")  # as sox and ffmpeg write to a pipe
    (tmp_path / "a.wav").write_bytes(content)
    assert len(audio.load(f"cat {shlex.quote(str(tmp_path / 'a.wav'))} |")) == 2 * 22050
    assert not caplog.records


def test_a_pipe_that_fails_after_good_audio(tmp_path):
    path = write(tmp_path / "a.wav", sine(440, 1))
    with pytest.raises(DataError, match=r"status 3.*no such codec"):
        audio.load(f"cat {shlex.quote(path)}; echo no such codec >&2; exit 3 |")


# --- torchaudio beside a torch with and without CUDA: a package of its name that behaves as its wheel does

EXTENSION = {
    "whole": "_IS_TORCHAUDIO_EXT_AVAILABLE = True\ndef fail_if_no_align(f): return f",
    "without CUDA": "raise OSError('libc10_cuda.so: cannot open shared object file')",
}
FUNCTIONAL = """
from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE as native, fail_if_no_align
@fail_if_no_align
def resample(): return native
"""
PROGRAM = (
    "import torch, sys; torch.version.cuda = {cuda!r}; from lstmgenre._torchaudio import resample; print(resample())"
)


@pytest.mark.system
@pytest.mark.parametrize(
    ("extension", "cuda", "native"),
    [("whole", None, "True"), ("whole", "13.0", "True"), ("without CUDA", None, "False")],
)
def test_torchaudio_is_imported(tmp_path, extension, cuda, native):
    result = import_beside(tmp_path, extension, cuda)
    assert result.stdout.strip() == native, result.stderr


@pytest.mark.system
def test_a_torchaudio_that_is_broken_beside_cuda_is_not_patched(tmp_path):
    result = import_beside(tmp_path, "without CUDA", "13.0")
    assert result.returncode != 0
    assert "libc10_cuda.so" in result.stderr


def import_beside(tmp_path, extension, cuda):
    package = tmp_path / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "functional").mkdir()
    (package / "__init__.py").write_text("from . import _extension\nfrom . import functional\n")
    (package / "_extension" / "__init__.py").write_text(EXTENSION[extension])
    (package / "functional" / "__init__.py").write_text(FUNCTIONAL)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + PROGRAM.format(cuda=cuda)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_real_torchaudio_resamples():
    assert import_functional().resample is resample
    assert resample(torch.zeros(100), 2, 1).shape == (50,)


def test_a_long_track_lies_on_disk_and_reads_as_one_in_memory(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", np.random.default_rng(3).uniform(-1, 1, 50000), 44100)
    whole = audio.load(path)
    monkeypatch.setattr(audio.tracks, "_IN_MEMORY", 1000)
    track = audio.open_track(path)
    assert len(track) == len(whole)
    for part in (slice(0, 10), slice(100, 20000), slice(24000, 99999), slice(5, 5), slice(None)):
        np.testing.assert_array_equal(track[part], whole[part])
