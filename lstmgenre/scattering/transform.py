"""The scattering transform of a whole track, chunk by chunk (overlap-save), in float32.

A chunk is transformed once; each wavelet then needs only the short band of bins where it is not negligible. The band
is multiplied, folded to the length that the subsampled output has, and one short inverse FFT gives the output already
subsampled. Where the band starts does not matter, because only the modulus is kept: a shift of the spectrum is a
rotation of the phase. The modulus of the first layer is real, and goes the same way through the second.

The last lowpass is a Gaussian of a few hops, wanted at one point per hop, so it is a small matrix product.

Chunks overlap by a margin that the longest cascade of filters does not reach across. Only the two ends of the track are
extended, symmetrically (the last sample is repeated), as ScatNet does to the input; ScatNet also extends again at every
layer, so the first and last six frames differ from it by under a percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft

from lstmgenre.scattering.filters import Bank, FloatArray, Wavelet

NEGLIGIBLE = 1e-6  # of a filter's peak: bins below are left out
MARGIN = 4.6  # standard deviations of the longest cascade: exp(-MARGIN^2 / 2) of a click at the border is left
LONGEST_CHUNK = 8  # margins per chunk, at most: a quarter of the work is overlap
BATCH = 4  # chunks per FFT call: SIMD units work across the transforms of a batch
LOWPASS_REACH = 5.5  # standard deviations of the last lowpass that a frame's average covers, at least
GROUP = 2**17  # output samples of a group of wavelets that go through together: 1 MB, so that they stay in the cache
# Chunk lengths in hops: even, without large prime factors, and few, because each needs its own filters.
CHUNK_HOPS = sorted(factor * 2**power for factor in (2, 3, 5) for power in range(1, 12))


class Scattering:
    """Order 0, 1 and 2 of several banks over one signal, one frame per `hop` samples.

    `hop` is a power of two. Frame m is centred on sample m * hop; there are 1 + floor((samples - 1) / hop) of them.
    """

    def __init__(self, banks: Sequence[Bank], hop: int) -> None:
        self.banks = tuple(banks)
        self.hop = hop
        self.margin = math.ceil(MARGIN * max(bank.memory for bank in banks) / hop)  # in hops, as all lengths here
        self.rows = sum(len(bank.paths) for bank in banks)
        self._plan = lru_cache(maxsize=4)(self._make_plan)

    def __call__(self, samples: FloatArray) -> Iterator[FloatArray]:
        """The frames of a track, as float32 blocks (rows, frames) that follow one another.

        Rows are bank after bank, in the order of `Bank.paths`. `samples` may be anything with a length and slices of
        real numbers, such as a memory map: it is read once, in pieces, and never copied as a whole.
        """
        frames = 1 + (len(samples) - 1) // self.hop
        chunk = self._chunk_hops(frames)
        new = chunk - 2 * self.margin
        plan = self._plan(chunk)
        for first in range(0, frames, BATCH * new):
            starts = range(first, min(first + BATCH * new, frames), new)
            chunks = np.stack([self._read(samples, start, chunk) for start in starts])
            block = np.empty((self.rows, len(starts) * new), np.float32)
            for rows, values in plan.transform(chunks):
                block[rows] = values.reshape(len(rows), -1)
            yield block[:, : frames - first]

    def _chunk_hops(self, frames: int) -> int:
        """The chunk length, in hops, with the least work for a track, overlap and the last chunk's rest included."""
        longest = LONGEST_CHUNK * self.margin
        lengths = [n for n in CHUNK_HOPS if 2 * self.margin < n <= longest]
        return min(lengths, key=lambda n: math.ceil(frames / (n - 2 * self.margin)) * n)

    def _read(self, samples: FloatArray, start: int, chunk: int) -> FloatArray:
        first = (start - self.margin) * self.hop
        last = first + chunk * self.hop
        inside = np.asarray(samples[max(first, 0) : min(last, len(samples))], np.float32)
        return np.pad(inside, (max(-first, 0), max(last - len(samples), 0)), mode="symmetric")

    def _make_plan(self, chunk: int) -> _Plan:
        return _Plan(self.banks, self.hop, chunk, self.margin)


class _Band(NamedTuple):
    """A filter at the bins first, first + 1, ...: each weight twice, for the real and the imaginary part."""

    first: int
    weights: FloatArray


class _Child(NamedTuple):
    """A wavelet of the second layer, applied to the first `len(rows)` outputs of a group."""

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
    """The filters of all banks at one chunk length, and the order of work."""

    def __init__(self, banks: Sequence[Bank], hop: int, chunk: int, margin: int) -> None:
        self.hops = chunk
        self.length = chunk * hop
        self.margin = margin
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
        members: list[int] = []
        for j1, wavelet in enumerate(bank.first):
            members.append(j1)
            length = self.length >> wavelet.log2_step
            next_step = bank.first[j1 + 1].log2_step if j1 + 1 < len(bank.first) else None
            if wavelet.log2_step == next_step and (len(members) + 1) * BATCH * length <= GROUP:
                continue
            children = []
            for j2, follower in enumerate(bank.second):
                child_rows = [rows[j, j2] for j in members if j2 in bank.children[j]]
                if child_rows:
                    child_length = self.length >> max(follower.log2_step, wavelet.log2_step)
                    children.append(_Child(second[j2], child_length, child_rows, lowpass[child_length]))
            bands = [self._band(bank.first[j]) for j in members]
            yield _Group(bands, length, [rows[j,] for j in members], lowpass[length], children)
            members = []

    def _band(self, wavelet: Wavelet) -> _Band:
        bins = wavelet.bins(self.length, NEGLIGIBLE)
        response = wavelet.response(2 * np.pi * bins / self.length)
        return _Band(int(bins[0]), np.repeat(response, 2).astype(np.float32))

    def transform(self, chunks: FloatArray) -> Iterator[tuple[list[int], FloatArray]]:
        """Rows and values (rows, chunks, frames) of a batch of chunks (chunks, samples), in no particular order."""
        for row, lowpass in self.zeroth:
            yield [row], self._average(chunks[np.newaxis], lowpass)
        bands = [band for group in self.groups for band in group.bands]
        spectrum = _Spectrum(chunks, bands)
        for group in self.groups:
            envelopes = np.empty((len(group.bands), len(chunks), group.length), np.float32)
            for band, envelope in zip(group.bands, envelopes, strict=True):
                np.abs(spectrum.through(band, group.length), out=envelope)
            yield group.rows, self._average(envelopes, group.lowpass)
            if group.children:
                spectrum2 = _Spectrum(envelopes, [child.band for child in group.children])
                for child in group.children:
                    envelopes = np.abs(spectrum2.through(child.band, child.length, len(child.rows)))
                    yield child.rows, self._average(envelopes, child.lowpass)

    def _lowpass(self, std: float, length: int, gain: float) -> FloatArray:
        """The Gaussian that averages signals of `length` samples per chunk: a matrix for :meth:`_average`.

        Usually it reaches over a few hops: the matrix (samples per hop, hops) says what each sample of a hop adds to
        the frames around it. But ScatNet cuts the Gaussian at the Nyquist frequency of the signal, which shows where
        there are but one or two samples per hop: then the impulse response is long, and the matrix is (samples per
        chunk, frames).
        """
        bins = np.arange(length // 2 + 1)
        response = np.exp(-0.5 * (2 * np.pi * bins / self.length * std) ** 2)
        impulse = gain * scipy.fft.irfft(response, length)
        per_hop = length // self.hops
        if response[-1] > NEGLIGIBLE:
            frames = np.arange(self.margin, self.hops - self.margin) * per_hop
            return impulse[np.arange(length)[:, np.newaxis] - frames].astype(np.float32)
        reach = min(math.ceil(LOWPASS_REACH * std * self.hops / self.length), self.margin)
        return impulse[np.arange(per_hop)[:, np.newaxis] + per_hop * np.arange(-reach, reach)].astype(np.float32)

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

    def __init__(self, signals: FloatArray, bands: Sequence[_Band]) -> None:
        half = scipy.fft.rfft(signals, norm="forward")
        period = signals.shape[-1] // 2
        self.first = min(band.first for band in bands)
        last = max(band.first + len(band.weights) // 2 for band in bands)
        bins = np.empty((*signals.shape[:-1], last - self.first), np.complex64)
        for piece in range(self.first // period, -(-last // period)):
            start, stop = max(self.first, piece * period), min(last, (piece + 1) * period)
            i, j = start - piece * period, stop - piece * period
            target = bins[..., start - self.first : stop - self.first]
            if piece % 2 == 0:
                target[:] = half[..., i:j]
            else:
                np.conjugate(half[..., period - j + 1 : period - i + 1][..., ::-1], out=target)
        self.bins = bins.view(np.float32)

    def through(self, band: _Band, length: int, count: int | None = None) -> FloatArray:
        """The band's output at `length` samples, up to a rotation of its phase, of the first `count` signals."""
        start, width = 2 * (band.first - self.first), len(band.weights)
        bins = self.bins[:count, ..., start : start + width]
        folded = np.zeros((*bins.shape[:-1], 2 * length), np.float32)
        for i in range(0, width, 2 * length):
            part = bins[..., i : i + 2 * length]
            folded[..., : part.shape[-1]] += part * band.weights[i : i + 2 * length]
        return scipy.fft.ifft(folded.view(np.complex64), norm="forward", overwrite_x=True)
