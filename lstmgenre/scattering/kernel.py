"""The arithmetic of the transform: a level of its plan, over a stretch of a track.

It is done by _kernel.c, which works on eight chunks at once without leaving the cache. Where the package was installed
without a compiler numpy does the same, several times slower.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from lstmgenre.scattering.filters import FloatArray
from lstmgenre.scattering.plan import Band, Level, Lowpass, Node, TrackSignal, TransformPlan

logger = logging.getLogger(__name__)

ComplexArray = npt.NDArray[np.complexfloating]

LANES = 8  # as in _kernel.c
BATCH = 64  # chunks that numpy takes at once: fewer calls, but more memory
ALIGNMENT = 64  # bytes: a cache line


class Arrays:
    """The signals of a plan, and the frames (rows, frames) that they add to, for stretches of up to `hops` hops."""

    def __init__(self, plan: TransformPlan, rows: int, hops: int) -> None:
        self.hops = max(-(-hops * plan.hop // level.new) * level.new for level in plan.levels) // plan.hop
        self.signals: dict[TrackSignal, FloatArray] = {
            signal: _aligned((self.hops * plan.hop >> signal.log2_step) + 2 * signal.pad) for signal in plan.signals
        }
        self.frames = np.zeros((rows, self.hops + 2 * plan.reach), np.float32)

    def new(self, signal: TrackSignal) -> FloatArray:
        """The samples of a signal without its padding."""
        return self.signals[signal][signal.pad : len(self.signals[signal]) - signal.pad]


class Worker(Protocol):
    """Does the first `chunks` chunks of a level, in some arrays."""

    def __call__(self, chunks: int) -> None: ...


def workers(plan: TransformPlan, arrays: Arrays) -> list[Worker]:
    """One for each level of the plan, by the fastest means there is."""
    worker = NumpyWorker if compiled() is None else CompiledWorker
    return [worker(level, plan, arrays) for level in plan.levels]


@lru_cache(maxsize=1)
def compiled() -> ctypes.CDLL | None:
    """_kernel.c, if it could be compiled when the package was installed."""
    spec = importlib.util.find_spec("lstmgenre.scattering._kernel")
    if spec is None or spec.origin is None:
        logger.warning("scattering: installed without a C compiler: numpy does the work, several times slower")
        return None
    return ctypes.CDLL(spec.origin)


class _Node(ctypes.Structure):
    """node_t of _kernel.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("depth", "length", "margin", "count", "modulus", "children")),
        *((name, ctypes.c_int64) for name in ("first", "width")),
        ("weights", ctypes.c_void_p),
        ("source", ctypes.c_void_p),
        ("sinks", ctypes.c_void_p * 2),
        ("per_hop", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("lowpass", ctypes.c_void_p),
        ("frames", ctypes.c_void_p),
    ]


class CompiledWorker:
    """A level by _kernel.c."""

    def __init__(self, level: Level, plan: TransformPlan, arrays: Arrays) -> None:
        self._nodes = (_Node * len(level.nodes))(*(self._node(node, level, plan, arrays) for node in level.nodes))
        self._kept = arrays, level  # the nodes point into their memory
        self._longest = max((node.length for node in level.nodes), default=0)
        self._twiddles = _twiddles(self._longest)
        self._work = _aligned(LANES * (9 * self._longest + 4))

    def __call__(self, chunks: int) -> None:
        library = compiled()
        assert library is not None
        for first in range(0, chunks, LANES):
            library.scattering_level(
                self._nodes,
                ctypes.c_int64(len(self._nodes)),
                ctypes.c_int64(first),
                ctypes.c_int64(min(LANES, chunks - first)),
                ctypes.c_int64(self._longest),
                ctypes.c_void_p(self._twiddles.ctypes.data),
                ctypes.c_void_p(self._work.ctypes.data),
            )

    @staticmethod
    def _node(node: Node, level: Level, plan: TransformPlan, arrays: Arrays) -> _Node:
        step = level.length(0) // node.length
        result = _Node(
            depth=node.depth,
            length=node.length,
            margin=level.margin // step,
            count=level.new // step,
            modulus=node.modulus,
            children=node.has_children,
        )
        if node.source:
            result.source = arrays.signals[node.source].ctypes.data
        if node.band:
            result.first, result.width = node.band.first, len(node.band.weights)
            result.weights = node.band.weights.ctypes.data
        if node.lowpass:
            result.per_hop, result.columns = node.lowpass.weights.shape
            result.lowpass = node.lowpass.weights.ctypes.data
            result.frames = frames_of(node.lowpass, plan, arrays).ctypes.data
        for i, signal in enumerate(node.sinks):
            result.sinks[i] = arrays.new(signal).ctypes.data
        return result


class NumpyWorker:
    """The same by numpy and scipy."""

    def __init__(self, level: Level, plan: TransformPlan, arrays: Arrays) -> None:
        self.level, self.plan, self.arrays = level, plan, arrays

    def __call__(self, chunks: int) -> None:
        for first in range(0, chunks, BATCH):
            self._batch(first, min(BATCH, chunks - first))

    def _batch(self, first: int, chunks: int) -> None:
        spectra: list[ComplexArray] = []
        for node in self.level.nodes:
            step = self.level.length(0) // node.length
            new, margin = self.level.new // step, self.level.margin // step
            if node.source:
                signal = self.arrays.signals[node.source]
                windows = np.lib.stride_tricks.sliding_window_view(signal, node.length)
                signals = windows[first * new :: new][:chunks]
            else:
                assert node.band is not None
                filtered = scipy.fft.ifft(_filter(spectra[node.depth - 1], node.band, node.length), norm="forward")
                signals = np.abs(filtered) if node.modulus else filtered.real
            inner = signals[:, margin : margin + new]
            if node.lowpass:
                average(inner, node.lowpass, frames_of(node.lowpass, self.plan, self.arrays), first)
            for sink in node.sinks:
                self.arrays.new(sink)[first * new : (first + chunks) * new] = inner.ravel()
            if node.has_children:
                spectra[node.depth :] = [scipy.fft.rfft(signals, norm="forward")]


def _filter(half: ComplexArray, band: Band, length: int) -> ComplexArray:
    """A band of spectra (chunks, 1 + n / 2) of real signals, times its weights, folded to `length` bins."""
    n = 2 * (half.shape[1] - 1)
    folded = np.zeros((len(half), length), np.complex64)
    done = 0
    while done < len(band.weights):
        start, to = (band.first + done) % n, (band.first + done) % length
        mirrored = start > n // 2
        run = min(len(band.weights) - done, length - to, (n if mirrored else n // 2 + 1) - start)
        bins = half[:, n - start : n - start - run : -1].conj() if mirrored else half[:, start : start + run]
        folded[:, to : to + run] += bins * band.weights[done : done + run]
        done += run
    return folded


def frames_of(lowpass: Lowpass, plan: TransformPlan, arrays: Arrays) -> FloatArray:
    """The row that a lowpass gives, from where the first hop's first column goes."""
    return arrays.frames[lowpass.row, plan.reach - lowpass.weights.shape[1] // 2 :]


def average(signals: FloatArray, lowpass: Lowpass, frames: FloatArray, chunk: int) -> None:
    """Add what signals (chunks, samples), of which the first is number `chunk`, are worth to the frames of a row."""
    per_hop, columns = lowpass.weights.shape
    parts = signals.reshape(-1, per_hop) @ lowpass.weights
    first = chunk * signals.shape[1] // per_hop
    for column in range(columns):
        frames[first + column : first + column + len(parts)] += parts[:, column]


def _twiddles(longest: int) -> ComplexArray:
    """exp(2 pi i k / n), k = 0 ... n - 1, at index n, for longest = 5 * 2^k and its parts n = 5 * 2^j."""
    table = np.zeros(2 * longest, np.complex64)
    n = longest
    while n:
        table[n : 2 * n] = np.exp(2j * np.pi * np.arange(n) / n)
        n = n // 2 if n % 2 == 0 else 0
    return table


def _aligned(size: int) -> FloatArray:
    """Zeros, float32 (size,), at the start of a cache line."""
    memory = np.zeros(4 * size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * size].view(np.float32)
