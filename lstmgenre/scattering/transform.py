"""The scattering transform of a whole track, stretch by stretch, in float32.

plan.py has the idea, kernel.py the arithmetic. Here the track is cut: into stretches that overlap by a margin that the
longest cascade of filters does not reach across. Only the two ends of the track are extended, symmetrically (the last
sample is repeated), as ScatNet does to the input; ScatNet extends again at every layer, which makes its first and last
six frames a few per cent different.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import scipy.fft

from lstmgenre.scattering import kernel
from lstmgenre.scattering.filters import Bank, FloatArray
from lstmgenre.scattering.plan import Tail, TransformPlan

MARGIN_DEVIATIONS = (
    4.6  # standard deviations of the longest cascade: exp(-MARGIN_DEVIATIONS^2 / 2) of a click at the border is left
)
STRETCH = 2**21  # samples, margins included: most that go through the levels together
LEAST = 6  # margins in a stretch, at least, whatever the hop


class Signal(Protocol):
    """The samples of a track: an array, or what gives slices as one does."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> FloatArray: ...


class Scattering:
    """Order 0, 1 and 2 of several banks over one signal, one frame per `hop` samples.

    `hop` is a power of two. Frame m is centred on sample m * hop; there are 1 + floor((samples - 1) / hop) of them.
    """

    def __init__(self, banks: Sequence[Bank], hop: int) -> None:
        self.hop = hop
        self.margin = math.ceil(MARGIN_DEVIATIONS * max(bank.memory for bank in banks) / hop)  # in hops
        self.rows = sum(len(bank.paths) for bank in banks)
        self._plan = TransformPlan(banks, hop)
        self._arrays: kernel.Arrays | None = None  # kept from track to track, for the longest stretch so far

    def __call__(self, samples: Signal) -> Iterator[FloatArray]:
        """The frames of a track, as float32 blocks (rows, frames) that follow one another.

        Rows are bank after bank, in the order of `Bank.paths`. `samples` is read in pieces, and never copied as a
        whole.
        """
        frames = 1 + (len(samples) - 1) // self.hop
        most = max(STRETCH // self.hop, LEAST * self.margin) - 2 * self.margin
        new = math.ceil(frames / math.ceil(frames / most))
        hops = new + 2 * self.margin
        if self._arrays is None or hops > self._arrays.hops:
            self._arrays = kernel.Arrays(self._plan, self.rows, hops)
            self._workers = kernel.workers(self._plan, self._arrays)
        for first in range(0, frames, new):
            yield self._stretch(self._arrays, samples, first, min(new, frames - first))

    def _stretch(self, arrays: kernel.Arrays, samples: Signal, first: int, frames: int) -> FloatArray:
        """Frames `first` to `first + frames - 1` of a track, (rows, frames)."""
        plan = self._plan
        hops = frames + 2 * self.margin
        arrays.frames[:] = 0
        for signal in plan.signals:
            # What the levels write comes after this; what an earlier stretch wrote behind it must not stay.
            arrays.signals[signal][signal.pad + (hops * self.hop >> signal.log2_step) :] = 0
        chunks = arrays.signals[plan.input][: hops * self.hop + 2 * plan.input.pad]
        self._read(samples, (first - self.margin) * self.hop - plan.input.pad, chunks)
        for lowpass in plan.zeroth:
            inner = arrays.new(plan.input)[np.newaxis, : hops * self.hop]
            kernel.average(inner, lowpass, kernel.frames_of(lowpass, plan, arrays), 0)
        for level, worker in zip(plan.levels, self._workers, strict=True):
            worker(math.ceil(hops * self.hop / level.new))
        start = plan.reach - 1
        for tail in plan.tails:
            length = hops * self.hop >> tail.log2_step
            signals = np.stack([arrays.new(signal)[:length] for signal in tail.signals])
            arrays.frames[tail.rows, start : start + hops] = _smooth(signals, tail)[:, :: length // hops]
        return arrays.frames[:, start + self.margin : start + self.margin + frames].copy()

    def _read(self, samples: Signal, first: int, piece: FloatArray) -> None:
        """Fill `piece` from sample `first` on; before the start and after the end of the track is its mirror image."""
        last = first + len(piece)
        inside = samples[max(first, 0) : min(last, len(samples))]
        piece[:] = np.pad(inside, (max(-first, 0), max(last - len(samples), 0)), mode="symmetric")


def _smooth(signals: FloatArray, tail: Tail) -> FloatArray:
    """Signals (signals, samples), averaged by a Gaussian that their Nyquist frequency cuts.

    It decays slowly, so the signals are followed by their mirror image: a DFT repeats them, and a jump would be felt.
    """
    length = 2 * signals.shape[1]
    response = tail.gain * np.exp(-0.5 * (2 * np.pi * scipy.fft.rfftfreq(length) * tail.std) ** 2)
    spectra = scipy.fft.rfft(np.concatenate([signals, signals[:, ::-1]], axis=1))
    return scipy.fft.irfft(spectra * response.astype(np.float32), length)[:, : signals.shape[1]]
