"""Scattering against ScatNet's own output, kymatio, closed forms, and a plain whole-file transform in float64."""

import math
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D
from msgspec import structs

from lstmgenre.documents import decode_json
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.scattering import filters, kernel, transform
from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig, ScatteringFeatures, format_paths
from lstmgenre.scattering.filters import Bank, Wavelet, kymatio_bank, scatnet_bank
from lstmgenre.scattering.transform import Scattering

HOP = 4096
EDGE = 10  # frames at either end that ScatNet's padding of every layer changes


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parent / "data/scatnet/scatnet.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def signal(golden):
    return (golden["signal"] / 32768).astype(np.float32)


@pytest.fixture(scope="module")
def paper():
    return ScatteringFeatures(PAPER)


def music(samples: int, seed: int) -> np.ndarray:
    """Notes with harmonics, decay and vibrato over noise that comes and goes, at 22 050 Hz."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 22050
    x = 0.01 * rng.standard_normal(samples) * (1 + np.sin(2 * np.pi * 3.1 * time))
    for first in range(0, samples, 6615):
        t = time[first : first + 40000] - time[first]
        pitch = 55 * 2 ** (rng.integers(0, 60) / 12)
        phase = 2 * np.pi * pitch * t + np.sin(2 * np.pi * 5.5 * t)
        note = sum(np.sin(k * phase) / k for k in range(1, 6) if k * pitch < 11000)
        x[first : first + len(t)] += 0.1 * note * np.exp(-4 * t)
    return x.astype(np.float32)


# The reference: every filter at full length, in the precision of its input. Every layer is extended symmetrically, as
# ScatNet does it; with `mirror=False` the signal repeats itself.


def reference(x: np.ndarray, bank: Bank, mirror: bool = True) -> np.ndarray:
    """Raw scattering (rows, frames) of `x`, whose length is a power of two."""
    spectrum, length = dft(x, mirror), (1 + mirror) * len(x)
    rows = [average(spectrum, bank.lowpass[0], length)], [], []
    for wavelet, children in zip(bank.first, bank.children, strict=True):
        u1 = envelope(spectrum, wavelet, length, wavelet.log2_step)
        u1_spectrum = dft(u1[: len(u1) // (1 + mirror)], mirror)
        rows[1].append(average(u1_spectrum, bank.lowpass[1], length))
        for j2 in children:
            step = max(bank.second[j2].log2_step, wavelet.log2_step)
            u2 = envelope(u1_spectrum, bank.second[j2], length, step)
            rows[2].append(average(dft(u2[: len(u2) // (1 + mirror)], mirror), bank.lowpass[1], length))
    return bank.gain * np.array([row for order in rows for row in order])[:, : len(x) // HOP]


def dft(u: np.ndarray, mirror: bool) -> np.ndarray:
    return scipy.fft.fft(np.concatenate([u, u[::-1]]) if mirror else u, norm="forward")


def envelope(spectrum: np.ndarray, wavelet: Wavelet, length: int, step: int) -> np.ndarray:
    bins = wavelet.bins(length, 1e-14)
    out = length >> step
    response = wavelet.response(2 * np.pi * bins / length).astype(spectrum.real.dtype)
    folded = np.zeros(out, spectrum.dtype)
    np.add.at(folded, bins % out, spectrum[bins % len(spectrum)] * response)
    return np.abs(scipy.fft.ifft(folded, norm="forward"))


def average(spectrum: np.ndarray, std: float, length: int) -> np.ndarray:
    bins = np.fft.fftfreq(len(spectrum), 1 / len(spectrum))
    response = np.exp(-0.5 * (2 * np.pi * bins / length * std) ** 2).astype(spectrum.real.dtype)
    return scipy.fft.ifft(spectrum * response, norm="forward").real[:: len(spectrum) * HOP // length]


def per_order(order: np.ndarray, actual: np.ndarray, expected: np.ndarray) -> list[float]:
    """Relative error of orders 0, 1 and 2."""
    error = actual - expected
    return [np.linalg.norm(error[order == n]) / np.linalg.norm(expected[order == n]) for n in range(3)]


def orders(bank: Bank) -> np.ndarray:
    return np.array([len(path) for path in bank.paths])


@pytest.mark.parametrize("quality", [8, 1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 1e-5)])
def test_the_reference_is_scatnets_transform(golden, signal, quality, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(filters, "SCATNET_NORM_LENGTH", 2 * len(signal))
    bank = scatnet_bank((quality, 1), 8192)
    raw = reference(signal.astype(dtype), bank)
    assert max(per_order(orders(bank), raw, golden[f"raw_q{quality}"])) < tolerance
    features = ScatteringFeatures(FeatureConfig(banks=(BankConfig("scatnet", (quality, 1)),)))
    assert max(per_order(orders(bank), features.normalise(raw), golden[f"logrenorm_q{quality}"])) < tolerance


def test_the_kymatio_bank_at_its_defaults_is_kymatios(signal):
    with np.load(Path(__file__).parent / "data/scatnet/kymatio.npz", allow_pickle=False) as arrays:
        expected, order = arrays["scattering"], arrays["order"]
    bank = kymatio_bank((8, 1), 13, 8192)
    edge = len(signal) // 2  # kymatio extends a signal to a power of two, once
    raw = reference(np.pad(signal.astype(np.float64), edge, mode="reflect"), bank, mirror=False)
    assert orders(bank).tolist() == order.tolist()
    frames = edge // HOP + np.arange(expected.shape[1])
    assert max(per_order(order, raw[:, frames], expected)) < 1e-6


def test_rows_are_scatnets_525_in_its_order(golden, paper):
    none = (-1, -1)
    assert paper.dim == len(paper.paths) == 525
    assert [p.row for p in paper.paths] == list(range(525))
    assert [p.order for p in paper.paths] == golden["order"].tolist()
    assert [p.bank for p in paper.paths] == [f"scatnet-{q}-1" for q in golden["bank"]]
    wavelets = np.array([(*p.wavelets, *none)[:2] for p in paper.paths])
    np.testing.assert_array_equal(wavelets, np.column_stack([golden["j1"], golden["j2"]]))
    centres = np.array([(*p.centres, 0, 0)[:2] for p in paper.paths])
    np.testing.assert_allclose(centres, np.column_stack([golden["f1_hz"], golden["f2_hz"]]), rtol=1e-9)


@pytest.fixture(params=[kernel.CompiledWorker, kernel.NumpyWorker])
def worker(request, monkeypatch):
    """Either way of doing the arithmetic. Without a C compiler the first fails: install one, and the package again."""
    if request.param is kernel.NumpyWorker:
        monkeypatch.setattr(kernel, "compiled", lambda: None)
    else:
        assert kernel.compiled() is not None


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("quality", [8, 1])
def test_chunks_agree_with_the_whole_file(quality, monkeypatch):
    bank = scatnet_bank((quality, 1), 8192)
    x = music(2**19, seed=quality)
    monkeypatch.setattr(transform, "STRETCH", 2**18)  # three stretches, of several chunks of most levels
    actual = np.concatenate(list(Scattering([bank], HOP)(x)), axis=1)[:, EDGE:-EDGE]
    expected = reference(x.astype(np.float64), bank)[:, EDGE:-EDGE]
    order0, order1, order2 = per_order(orders(bank), actual, expected)
    assert order0 < 1e-5
    assert order1 < 1e-5
    assert order2 < 1e-4
    error, norm = np.abs(actual - expected), np.linalg.norm(expected, axis=1)
    assert np.all(np.linalg.norm(error, axis=1) < 5e-4 * norm)
    # No seam: not one frame of any path stands out.
    assert np.all(error < 5e-3 * norm[:, np.newaxis] / math.sqrt(expected.shape[1]))


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("octaves", "quality", "window"), [(7, (8, 1), 128), (6, (4, 2), 256), (8, (1, 1), 64)])
def test_the_kymatio_bank_is_kymatios(octaves, quality, window):
    x = music(2**14, seed=3) + np.float32(0.05)  # order 0 is a mean: have one
    theirs = ScatteringNumPy1D(octaves, len(x), quality, T=window, oversampling=1)
    # kymatio 0.3.0 takes a mean over the aliases of a coarse filter where a sum is due (its issue 984).
    for filter_ in (theirs.phi_f, *theirs.psi2_f):
        filter_["levels"] = [level * 2**k for k, level in enumerate(filter_["levels"])]
    expected = theirs.scattering(x.astype(np.float64))

    config = FeatureConfig(window=window, banks=(BankConfig("kymatio", quality, octaves),), renorm=False, log=False)
    features = ScatteringFeatures(config)
    meta = theirs.meta()
    assert [p.wavelets for p in features.paths] == list(meta["key"])
    hz = [tuple(22050 * xi[~np.isnan(xi)]) for xi in meta["xi"]]
    np.testing.assert_allclose([sum(p.centres) for p in features.paths], [sum(f) for f in hz])
    actual = features(x).T
    assert actual.shape == expected.shape
    edge = features.transform.margin  # kymatio extends the ends in another way
    actual, expected = actual[:, edge:-edge], expected[:, edge:-edge]
    assert max(per_order(meta["order"], actual, expected)) < 1e-5
    np.testing.assert_allclose(actual[1:], expected[1:], rtol=1e-4, atol=1e-6)


def test_a_tone_comes_out_at_the_level_of_its_filter():
    bank = scatnet_bank((8, 1), 8192)
    omega = bank.first[20].centre * 1.01
    x = np.cos(omega * np.arange(2**18)).astype(np.float32)
    raw = np.concatenate(list(Scattering([bank], HOP)(x)), axis=1)[:, EDGE:-EDGE]
    response = np.array([wavelet.response(np.array([omega]))[0] for wavelet in bank.first])
    # |x * psi| of cos(wt) is |psi(w)| / 2 at all times, so there is nothing for the second layer.
    expected = np.where(response > 1e-3, 64 * response / 2, 0)[:, np.newaxis]
    np.testing.assert_allclose(raw[1:77] * (expected > 0), expected * np.ones_like(raw[1:77]), rtol=1e-4)
    assert np.abs(raw[77:]).max() < 1e-3


def test_silence_is_the_floor_of_the_logarithm(paper):
    features = paper(np.zeros(100_000, np.float32))
    np.testing.assert_allclose(features, math.log(64 * 2**-20), rtol=1e-6)


def test_twice_as_loud_is_twice_as_much(signal):
    raw = ScatteringFeatures(structs.replace(PAPER, renorm=False, log=False))
    np.testing.assert_array_equal(raw(2 * signal), 2 * raw(signal))


def test_a_later_start_is_the_same_frames_earlier(paper):
    x = music(2**21, seed=5)  # more than one batch of chunks, and their borders at other places
    whole, late = paper(x), paper(x[100 * HOP :])
    error = np.abs(late[EDGE:-EDGE] - whole[100 + EDGE : -EDGE])
    assert np.max(error) < 0.05
    assert np.quantile(error, 0.999) < 0.005


class Silence:
    """A track that is not in memory."""

    def __init__(self, samples: int) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.zeros(len(range(*part.indices(self.samples))), np.float32)


@pytest.mark.slow
def test_a_long_track_is_never_copied_as_a_whole():
    peaks = []
    lengths = [minutes * 60 * 22050 for minutes in (3, 15)]
    for samples in lengths:
        tracemalloc.start()
        ScatteringFeatures(PAPER)(Silence(samples))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * (lengths[1] - lengths[0])  # bytes: half a copy in float32
    assert peaks[1] < 200e6


@pytest.mark.slow
@pytest.mark.system
def test_two_hours_take_less_than_500_megabytes():
    # A process of its own, and VmHWM: getrusage counts the memory of the process that started it in.
    code = """
import numpy as np
from lstmgenre.scattering.features import ScatteringFeatures
class Silence:
    def __len__(self): return 7200 * 22050
    def __getitem__(self, part): return np.zeros(len(range(*part.indices(len(self)))), np.float32)
ScatteringFeatures()(Silence())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    peak = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert int(peak) < 500_000  # KB


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(8192, 900_000))
def test_a_frame_for_every_hop(paper, samples):
    features = paper(np.ones(samples, np.float32))
    assert features.shape == (1 + (samples - 1) // HOP, 525)
    assert features.dtype == np.float32
    # A constant is extended as a constant: order 0 of bank a and bank b say so in all frames, up to the last.
    np.testing.assert_allclose(features[:, [0, 433]], math.log(64), rtol=1e-5)


def test_a_memory_map_will_do(paper, tmp_path, signal):
    np.save(tmp_path / "x.npy", signal)
    np.testing.assert_array_equal(paper(np.load(tmp_path / "x.npy", mmap_mode="r")), paper(signal))


def test_another_rate_is_a_config():
    config = FeatureConfig(sample_rate=44100, window=16384, banks=(BankConfig("scatnet", (8, 1)),))
    features = ScatteringFeatures(config)
    assert features(np.zeros(50_000, np.float32)).shape == (1 + 49_999 // 8192, features.dim)
    paths = ScatteringFeatures(FeatureConfig(banks=(BankConfig("scatnet", (8, 1)),))).paths
    assert features.paths[1].centres[0] == pytest.approx(2 * paths[1].centres[0])


@pytest.mark.parametrize("samples", [np.zeros(8191, np.float32), np.full(9000, np.nan, np.float32)])
def test_what_cannot_be_transformed_is_one_line(paper, samples):
    with pytest.raises(DataError, match=r"^[^\n]+$"):
        paper(samples)


@pytest.mark.parametrize(
    "config",
    [
        PAPER,
        FeatureConfig(
            sample_rate=16000, window=4096, banks=(BankConfig("kymatio", (8, 2), 12),), renorm=False, log=False
        ),
    ],
)
def test_a_config_survives_json(config):
    assert decode_json(config.to_json().encode(), FeatureConfig) == config


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"banks": []}',
        '{"banks": [{"kind": "scatnet"}]}',
        '{"banks": [{"kind": "mel", "quality": [8, 1]}]}',
        '{"banks": [{"kind": "scatnet", "quality": [0, 1]}]}',
        '{"banks": [{"kind": "kymatio", "quality": [8, 1]}]}',
        '{"banks": [{"kind": "scatnet", "quality": [8, 1]}], "window": 5000}',
        '{"banks": [{"kind": "scatnet", "quality": [8, 1]}], "sample_rate": 0}',
        '{"banks": [{"kind": "scatnet", "quality": [8, 1]}], "hop": 3}',
    ],
)
def test_a_bad_config_is_one_line(text):
    with pytest.raises(LstmGenreError, match=r"^[^\n]+$"):
        decode_json(text.encode(), FeatureConfig)


def test_a_window_too_short_for_the_bank_is_one_line():
    with pytest.raises(DataError, match=r"^[^\n]+$"):
        ScatteringFeatures(structs.replace(PAPER, window=16))


def test_the_path_table_has_a_line_per_row(paper):
    header, *lines = format_paths(paper.paths).splitlines()
    assert header.split() == ["row", "bank", "order", "f1_hz", "f2_hz"]
    assert [line.split()[0] for line in lines] == [str(row) for row in range(525)]
    assert lines[0].split() == ["0", "scatnet-8-1", "0", "-", "-"]
    assert lines[-1].split() == ["524", "scatnet-1-1", "2", "4.037", "2.019"]
