"""The scattering transform of a whole track, chunk by chunk (overlap-save), in float32.

A chunk is transformed once; each wavelet then needs only the short band of bins where it is not negligible. The band
is multiplied, folded to the length that the subsampled output has, and one short inverse FFT gives the output already
subsampled. Where the band starts does not matter, because only the modulus is kept: a shift of the spectrum is a
rotation of the phase. The modulus of the first layer is real, and goes the same way through the second.

The last lowpass is a Gaussian of a few hops, wanted at one point per hop, so it is a small matrix product.

Chunks overlap by a margin that the longest cascade of filters does not reach across. Only the two ends of the track are
extended, symmetrically (the last sample is repeated), as ScatNet does to the input; ScatNet extends again at every
layer, which makes its first and last six frames a few per cent different.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from lstmgenre.scattering.filters import Bank, FloatArray, Wavelet

ComplexArray = npt.NDArray[np.complexfloating]

NEGLIGIBLE = 1e-6  # of a filter's peak: bins below are left out
MARGIN = 4.6  # standard deviations of the longest cascade: exp(-MARGIN^2 / 2) of a click at the border is left
LOWPASS_REACH = 5.5  # standard deviations of the last lowpass that a frame's average covers, within the margin
SIMD = 4  # the FFT works on four signals at once, and is three times slower on fewer
BATCH = 512  # hops of all chunks that go through together, four at least: fewer calls, but more memory
GROUP = 2**17  # output samples, of SIMD chunks, of the wavelets that go through together: what a cache holds
LONGEST_CHUNK = 10  # margins: longer ones save little overlap, and leave the cache
# Chunk lengths in hops: even, good for the FFT, and few, because each needs its own filters.
CHUNK_HOPS = [factor * 2**power for power in range(1, 12) for factor in (2, 3, 5, 15)]


class Signal(Protocol):
    """The samples of a track: an array, or what gives slices as one does."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> FloatArray: ...


class Scattering:
    """Order 0, 1 and 2 of several banks over one signal, one frame per `hop` samples.

    `hop` is a power of two. Frame m is centred on sample m * hop; there are 1 + floor((samples - 1) / hop) of them.
    """

    def __init__(self, banks: Sequence[Bank], hop: int) -> None:
        self.banks = tuple(banks)
        self.hop = hop
        self.margin = math.ceil(MARGIN * max(bank.memory for bank in banks) / hop)  # in hops, as all lengths here
        self.rows = sum(len(bank.paths) for bank in banks)
        self._scratch = _Scratch()
        self._plan = lru_cache(maxsize=4)(self._make_plan)

    def __call__(self, samples: Signal) -> Iterator[FloatArray]:
        """The frames of a track, as float32 blocks (rows, frames) that follow one another.

        Rows are bank after bank, in the order of `Bank.paths`. `samples` is read in pieces, and never
        copied as a whole.
        """
        frames = 1 + (len(samples) - 1) // self.hop
        hops = self._chunk_hops(frames)
        new = hops - 2 * self.margin
        plan = self._plan(hops)
        batch = SIMD * max(1, BATCH // (SIMD * hops)) * new
        for first in range(0, frames, batch):
            starts = range(first, min(first + batch, frames), new)
            chunks = self._scratch.array("chunks", (len(starts), hops * self.hop), np.float32)
            for start, chunk in zip(starts, chunks, strict=True):
                self._read(samples, (start - self.margin) * self.hop, chunk)
            block = np.empty((self.rows, len(starts) * new), np.float32)
            for rows, values in plan.transform(chunks):
                block[rows] = values.reshape(len(rows), -1)
            yield block[:, : frames - first]

    def _chunk_hops(self, frames: int) -> int:
        """The chunk length, in hops, with the least work for a track: overlap, and all that the last batch holds."""

        def work(hops: int) -> int:
            chunks = math.ceil(frames / (hops - 2 * self.margin))
            return hops * math.ceil(chunks / SIMD)

        return min((n for n in CHUNK_HOPS if 2 < n / self.margin <= LONGEST_CHUNK), key=work)

    def _read(self, samples: Signal, first: int, chunk: FloatArray) -> None:
        """Fill `chunk` from sample `first` on; before the start and after the end of the track is its mirror image."""
        last = first + len(chunk)
        inside = samples[max(first, 0) : min(last, len(samples))]
        chunk[:] = np.pad(inside, (max(-first, 0), max(last - len(samples), 0)), mode="symmetric")

    def _make_plan(self, hops: int) -> _Plan:
        return _Plan(self.banks, self.hop, hops, self.margin, self._scratch)


class _Scratch:
    """Arrays that are used again and again: memory fresh from the system costs a page fault for every 4 kB."""

    def __init__(self) -> None:
        self._memory: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of any content; the last one of this `name` is no longer valid."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = np.empty(size, np.uint8)
        return self._memory[name][:size].view(dtype).reshape(shape)


class _Band(NamedTuple):
    """A filter at the bins first, first + 1, ...: each weight twice, for the real and the imaginary part."""

    first: int
    weights: FloatArray


class _Child(NamedTuple):
    """A wavelet of the second layer, applied to the first `len(rows)` outputs of a group: wide wavelets come first."""

    band: _Band
    length: int
    rows: list[int]
    lowpass: FloatArray


class _Group(NamedTuple):
    """Neighbouring wavelets of the first layer with one output length, and the paths that go on from them."""

    bands: list[_Band]
    length: int
    rows: list[int]
    lowpass: FloatArray
    children: list[_Child]


class _Plan:
    """The filters of all banks at one chunk length, and the order of work. Lengths are in samples per chunk."""

    def __init__(self, banks: Sequence[Bank], hop: int, hops: int, margin: int, scratch: _Scratch) -> None:
        self.hops = hops
        self.margin = margin
        self.length = hops * hop
        self.scratch = scratch
        self.zeroth: list[tuple[int, FloatArray]] = []
        self.groups: list[_Group] = []
        row = 0
        for bank in banks:
            rows = {path: row + i for i, path in enumerate(bank.paths)}
            row += len(rows)
            self.zeroth.append((rows[()], self._lowpass(bank.lowpass[0], self.length, bank.gain)))
            self.groups.extend(self._groups(bank, rows))

    def _groups(self, bank: Bank, rows: dict[tuple[int, ...], int]) -> Iterator[_Group]:
        lengths = {self.length >> wavelet.log2_step for wavelet in (*bank.first, *bank.second)}
        lowpass = {length: self._lowpass(bank.lowpass[1], length, bank.gain) for length in lengths}
        second = [self._band(wavelet) for wavelet in bank.second]
        for log2_step, same_step in groupby(range(len(bank.first)), lambda j1: bank.first[j1].log2_step):
            length = self.length >> log2_step
            for members in _batched(same_step, max(1, GROUP // (SIMD * length))):
                children = []
                for j2, wavelet in enumerate(bank.second):
                    child_rows = [rows[j1, j2] for j1 in members if j2 in bank.children[j1]]
                    if child_rows:
                        child_length = self.length >> max(log2_step, wavelet.log2_step)
                        children.append(_Child(second[j2], child_length, child_rows, lowpass[child_length]))
                bands = [self._band(bank.first[j1]) for j1 in members]
                yield _Group(bands, length, [rows[j1,] for j1 in members], lowpass[length], children)

    def _band(self, wavelet: Wavelet) -> _Band:
        bins = wavelet.bins(self.length, NEGLIGIBLE)
        response = wavelet.response(2 * np.pi * bins / self.length)
        return _Band(int(bins[0]), np.repeat(response.astype(np.float32), 2))

    def _lowpass(self, std: float, length: int, gain: float) -> FloatArray:
        """The Gaussian that averages signals of `length` samples per chunk: a matrix for :meth:`_average`.

        Usually it reaches over a few hops: the matrix (samples per hop, hops) says what each sample of a hop adds to
        the frames around it. But ScatNet cuts the Gaussian at the Nyquist frequency of the signal, which shows where
        there are but one or two samples per hop: then the impulse response is long, and the matrix is (samples per
        chunk, frames).
        """
        per_hop = length // self.hops
        std *= length / self.length
        if math.exp(-0.5 * (math.pi * std) ** 2) > NEGLIGIBLE:
            response = np.exp(-0.5 * (2 * np.pi * scipy.fft.rfftfreq(length) * std) ** 2)
            impulse = scipy.fft.irfft(response, length)
            frames = np.arange(self.margin, self.hops - self.margin) * per_hop
            weights = impulse[np.arange(length)[:, np.newaxis] - frames]
        else:
            reach = min(math.ceil(LOWPASS_REACH * std / per_hop), self.margin)
            offsets = np.arange(per_hop)[:, np.newaxis] + per_hop * np.arange(-reach, reach)
            weights = np.exp(-0.5 * (offsets / std) ** 2) / (math.sqrt(2 * math.pi) * std)
        return (gain * weights).astype(np.float32)

    def transform(self, chunks: FloatArray) -> Iterator[tuple[list[int], FloatArray]]:
        """Rows and values (rows, chunks, frames) of a batch of chunks (chunks, samples), in no particular order."""
        for row, lowpass in self.zeroth:
            yield [row], self._average(chunks[np.newaxis], lowpass)
        spectrum = _Spectrum(chunks, [band for group in self.groups for band in group.bands], "spectrum", self.scratch)
        for group in self.groups:
            products = self._products(len(group.bands), len(chunks), group.length)
            for band, product in zip(group.bands, products, strict=True):
                spectrum.filter(band, product)
            moduli = self._moduli(products)
            yield group.rows, self._average(moduli, group.lowpass)
            if not group.children:
                continue
            spectra = _Spectrum(moduli, [child.band for child in group.children], "spectra", self.scratch)
            for child in group.children:
                products = self._products(len(child.rows), len(chunks), child.length)
                spectra.filter(child.band, products)
                yield child.rows, self._average(self._moduli(products), child.lowpass)

    def _products(self, *shape: int) -> ComplexArray:
        return self.scratch.array("products", shape, np.complex64)

    def _moduli(self, products: ComplexArray) -> FloatArray:
        signals = scipy.fft.ifft(products, norm="forward", overwrite_x=True)
        return np.abs(signals, out=self.scratch.array("moduli", signals.shape, np.float32))

    def _average(self, signals: FloatArray, lowpass: FloatArray) -> FloatArray:
        """Frames (..., frames) of signals (..., samples), those in the margins left out."""
        samples, columns = lowpass.shape
        if samples == signals.shape[-1]:
            return signals @ lowpass
        parts = (signals.reshape(-1, samples) @ lowpass).reshape(*signals.shape[:-1], self.hops, columns)
        first, frames = self.margin - columns // 2, self.hops - 2 * self.margin
        return np.sum([parts[..., first + d : first + d + frames, d] for d in range(columns)], axis=0)


class _Spectrum:
    """The DFT of real signals (..., samples), over as many bins, aliases included, as the bands reach."""

    def __init__(self, signals: FloatArray, bands: Sequence[_Band], name: str, scratch: _Scratch) -> None:
        half = scipy.fft.rfft(signals, norm="forward")
        period = signals.shape[-1] // 2
        first = min(band.first for band in bands)
        last = max(band.first + len(band.weights) // 2 for band in bands)
        bins = scratch.array(name, (*signals.shape[:-1], last - first), np.complex64)
        for piece in range(first // period, -(-last // period)):
            start, stop = max(first, piece * period), min(last, (piece + 1) * period)
            i, j = start - piece * period, stop - piece * period
            target = bins[..., start - first : stop - first]
            if piece % 2 == 0:
                target[:] = half[..., i:j]
            else:
                np.conjugate(half[..., period - j + 1 : period - i + 1][..., ::-1], out=target)
        self.first = first
        self.parts = bins.view(np.float32)
        self.scratch = scratch

    def filter(self, band: _Band, out: ComplexArray) -> None:
        """Write the first `len(out)` signals, through `band`, to `out` (..., bins): folded to as many bins.

        The band starts at bin 0 of `out`, which shifts its spectrum: the modulus does not see it.
        """
        start, width, length = 2 * (band.first - self.first), len(band.weights), 2 * out.shape[-1]
        parts, folded = self.parts[: len(out), ..., start : start + width], out.view(np.float32)
        np.multiply(parts[..., :length], band.weights[:length], out=folded[..., :width])
        folded[..., width:] = 0
        for i in range(length, width, length):
            weights = band.weights[i : i + length]
            alias = self.scratch.array("alias", (*parts.shape[:-1], len(weights)), np.float32)
            np.multiply(parts[..., i : i + length], weights, out=alias)
            folded[..., : len(weights)] += alias


def _batched(items: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(items)  # itertools.batched is there from Python 3.12 on
    while batch := list(islice(rest, size)):
        yield batch
