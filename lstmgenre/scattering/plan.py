"""The order of work of the transform: every filter at the time scale and at the rate where it costs least.

A short filter needs short chunks: short FFTs, little overlap, data that stay in the cache. A long one needs long chunks
but few samples. So the work is divided into levels, each with chunks four times as long as the one before. At each
level a signal goes through the filters that are short enough. For the others it goes on to the next level, decimated as
far as these allow. The signal of a level is the input or the modulus of a wavelet; both are
real, and are treated the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.special

from lstmgenre.scattering.filters import Bank, FloatArray, Wavelet

NEGLIGIBLE = 1e-6  # of a filter's peak: bins below are left out
REACH = 5.2  # standard deviations: beyond, a Gaussian in time is below 1.4e-6 of its peak
LOWPASS_REACH = 5.5  # standard deviations of the last lowpass that a frame's average covers
TRANSITION = 4.8  # standard deviations of a decimator's edge: the complementary error function is NEGLIGIBLE there
SHORTEST = 4096  # new samples of a chunk of the first level: with its margins and FFT it stays in the cache
MARGIN_SHARE = 8  # a chunk has 1/8 of its new samples before them, and as many after them: 5 * 2^k in all
GROWTH = 2  # log2 of how much longer the chunks of the next level are
FIRST_SHARE = 0.57  # of the margin for the first of two filters in cascade, so that a second one has its place


class Band(NamedTuple):
    """A filter by its weights (bins,) at the bins first, first + 1, ... of the DFT of a chunk, aliases included."""

    first: int
    weights: FloatArray


class Lowpass(NamedTuple):
    """The Gaussian that averages a signal, (samples of a hop, frames around it), and the row that it gives."""

    row: int
    weights: FloatArray


@dataclass(eq=False)
class TrackSignal:
    """A signal of the whole track: one sample every 2^log2_step, and `pad` more at either end.

    The padding is the margin of the level that it is on its way to.
    """

    log2_step: int
    pad: int = 0


@dataclass(eq=False)
class Tail:
    """Signals of one or two samples per hop, the rows that they give, and the Gaussian that averages them.

    `std` is in their samples.
    """

    log2_step: int
    std: float
    gain: float
    signals: list[TrackSignal] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Node:
    """A signal in a chunk, (length,): what it is made of, and what becomes of it.

    The root of a tree is read from `source`. Every other one is its parent through `band`, at a lower rate, and then
    its modulus or (decimated) its real part. It may be averaged, passed on to the whole track's, and filtered further.
    """

    depth: int
    length: int
    source: TrackSignal | None = None
    band: Band | None = None
    modulus: bool = True
    lowpass: Lowpass | None = None
    sinks: list[TrackSignal] = field(default_factory=list)
    has_children: bool = False


@dataclass(eq=False)
class Level:
    """Chunks of `margin` + `new` + `margin` input samples, and the signals in them: every tree in preorder."""

    new: int
    margin: int
    last: bool
    nodes: list[Node] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """Standard deviation, in input samples, of the longest cascade of filters that the margin is enough for."""
        return math.inf if self.last else self.margin / REACH

    def length(self, log2_step: int) -> int:
        return (self.new + 2 * self.margin) >> log2_step


class _Filter(NamedTuple):
    """A wavelet, the row and the lowpass of its average, and the wavelets that follow it."""

    wavelet: Wavelet
    row: int
    bank: Bank
    followers: tuple[_Filter, ...]

    @property
    def edge(self) -> float:
        """The highest frequency that it lets through, in rad per input sample."""
        return self.wavelet.centre + self.wavelet.reach(NEGLIGIBLE)


class TransformPlan:
    """The levels for some banks, whose rows follow one another, and the signals that connect them."""

    def __init__(self, banks: Sequence[Bank], hop: int) -> None:
        self.hop = hop
        self.reach = max(_reach(std, hop) for bank in banks for std in bank.lowpass)
        self.levels = _levels(max(_longest_cascade(bank) for bank in banks), hop)
        self.input = TrackSignal(0, pad=self.levels[0].margin)
        self.signals = [self.input]
        self.zeroth: list[Lowpass] = []
        self._tails: dict[tuple[Bank, int], Tail] = {}
        filters: list[_Filter] = []
        first_row = 0
        for bank in banks:
            rows = {path: first_row + i for i, path in enumerate(bank.paths)}
            first_row += len(rows)
            self.zeroth.append(Lowpass(rows[()], _gaussian(bank.lowpass[0], hop, bank.gain)))
            for j1, wavelet in enumerate(bank.first):
                seconds = (_Filter(bank.second[j2], rows[j1, j2], bank, ()) for j2 in bank.children[j1])
                filters.append(_Filter(wavelet, rows[j1,], bank, tuple(seconds)))
        self._waiting: list[list[tuple[TrackSignal, list[_Filter]]]] = [[] for _ in self.levels]
        self._waiting[0].append((self.input, filters))
        for number, level in enumerate(self.levels):
            for signal, followers in self._waiting[number]:
                root = Node(0, level.length(signal.log2_step), source=signal)
                self._grow(number, root, signal.log2_step, 0.0, followers)
        self.levels = [level for level in self.levels if level.nodes]

    @property
    def tails(self) -> list[Tail]:
        return list(self._tails.values())

    def _grow(self, number: int, node: Node, log2_step: int, std: float, filters: Sequence[_Filter]) -> None:
        """Append `node`, one sample every 2^log2_step, and all that `filters` make of it at this level.

        `std` is that of the cascade of filters from the root of the tree to the node.
        """
        level = self.levels[number]
        level.nodes.append(node)
        here = [f for f in filters if self._fits(number, f, std, log2_step)]
        later = [f for f in filters if not self._fits(number, f, std, log2_step)]
        for f in here:
            step = max(log2_step, f.wavelet.log2_step)
            child = Node(node.depth + 1, level.length(step), band=_wavelet_band(f.wavelet, level))
            self._average(child, f, step)
            node.has_children = True
            self._grow(number, child, step, math.hypot(std, f.wavelet.std), f.followers)
        if not later:
            return
        target = min(self._first_fit(number + 1, f, log2_step) for f in later)
        step = self._decimated(level, later, log2_step, std)
        signal = TrackSignal(step, pad=self.levels[target].margin >> step)
        self.signals.append(signal)
        self._waiting[target].append((signal, later))
        if step == log2_step:
            node.sinks.append(signal)
        else:
            band = _decimator_band(max(f.edge for f in later), step, level)
            level.nodes.append(Node(node.depth + 1, level.length(step), band=band, modulus=False, sinks=[signal]))
            node.has_children = True

    def _fits(self, number: int, f: _Filter, std: float, log2_step: int) -> bool:
        level = self.levels[number]
        share = FIRST_SHARE if f.followers else 1.0
        step = 1 << max(log2_step, f.wavelet.log2_step)
        return math.hypot(std, f.wavelet.std) <= share * level.longest and level.margin % step == 0

    def _first_fit(self, number: int, f: _Filter, log2_step: int) -> int:
        return next(n for n in range(number, len(self.levels)) if self._fits(n, f, 0.0, log2_step))

    def _decimated(self, level: Level, filters: Sequence[_Filter], log2_step: int, std: float) -> int:
        """The lowest rate at which a signal can wait for `filters`, as the log2 of its step.

        What is above their edges may be folded by then, but onto nothing below; and the decimator that keeps it off
        must be short enough for this level.
        """
        edge = max(f.edge for f in filters)
        for step in range(min(f.wavelet.log2_step for f in filters), log2_step, -1):
            room = math.pi / 2**step - edge
            if room > 0 and math.hypot(std, TRANSITION / room) <= level.longest and level.margin % 2**step == 0:
                return step
        return log2_step

    def _average(self, node: Node, f: _Filter, log2_step: int) -> None:
        """Have a signal averaged over some hops around every frame.

        Usually that is a small matrix product. But ScatNet cuts the Gaussian at the Nyquist frequency of the signal,
        which shows where there are but one or two samples per hop: then the impulse response is long, and the
        signal goes on over the whole track, to be averaged with others of its kind.
        """
        std, per_hop = f.bank.lowpass[1], self.hop >> log2_step
        if math.exp(-0.5 * (math.pi * std / 2**log2_step) ** 2) > NEGLIGIBLE:
            signal = TrackSignal(log2_step)
            self.signals.append(signal)
            node.sinks.append(signal)
            new = Tail(log2_step, std / 2**log2_step, f.bank.gain)
            tail = self._tails.setdefault((f.bank, log2_step), new)
            tail.signals.append(signal)
            tail.rows.append(f.row)
        else:
            node.lowpass = Lowpass(f.row, _gaussian(std / 2**log2_step, per_hop, f.bank.gain))


def _longest_cascade(bank: Bank) -> float:
    return math.hypot(*(max(wavelet.std for wavelet in layer) for layer in (bank.first, bank.second)))


def _levels(longest: float, hop: int) -> list[Level]:
    """Levels up to where a cascade with a standard deviation of `longest` has its place."""
    levels = []
    new = max(hop, SHORTEST)
    while True:
        last = new // MARGIN_SHARE >= REACH * longest
        levels.append(Level(new, new // MARGIN_SHARE, last))
        if last:
            return levels
        new <<= GROWTH


def _wavelet_band(wavelet: Wavelet, level: Level) -> Band:
    bins = wavelet.bins(level.length(0), NEGLIGIBLE)
    response = wavelet.response(2 * np.pi * bins / level.length(0))
    return Band(int(bins[0]), response.astype(np.float32))


def _decimator_band(edge: float, step: int, level: Level) -> Band:
    """A lowpass that is 1 up to `edge`, and 0 wherever folding to the new rate would bring it there."""
    cut = math.pi / 2**step
    last = math.floor((2 * cut - edge) * level.length(0) / (2 * math.pi))
    bins = np.arange(-last, last + 1)
    offset = (np.abs(2 * np.pi * bins / level.length(0)) - cut) / (cut - edge)
    return Band(-last, (0.5 * scipy.special.erfc(TRANSITION / math.sqrt(2) * offset)).astype(np.float32))


def _reach(std: float, hop: int) -> int:
    return math.ceil(LOWPASS_REACH * std / hop)


def _gaussian(std: float, per_hop: int, gain: float) -> FloatArray:
    """What each sample of a hop (per_hop,) adds to the frames around it: (per_hop, 2 * reach) weights.

    Column c is the frame c + 1 - reach hops after the start of the hop. `std` is in samples.
    """
    reach = _reach(std, per_hop)
    offsets = np.arange(per_hop)[:, np.newaxis] + per_hop * np.arange(reach - 1, -reach - 1, -1)
    weights = np.exp(-0.5 * (offsets / std) ** 2) / (math.sqrt(2 * math.pi) * std)
    return (gain * weights).astype(np.float32)
