"""Decoded frames to mono blocks: the mean of the channels, float32, integers divided by a power of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

BLOCK = 2**19  # samples that are resampled at once: for twice as many torch gets fresh pages each time
_TYPES = {"u8p": "u1", "s16p": "i2", "s32p": "i4", "s64p": "i8", "fltp": "f4", "dblp": "f8"}
_TIME_BASE = Fraction(1)
_AT_ONCE = 2**18  # samples of all channels that are mixed at once


def mono_blocks(frames: Iterable[av.AudioFrame]) -> Iterator[tuple[int, np.ndarray]]:
    """(rate, samples): blocks of BLOCK samples, less where the rate changes and at the end."""
    for rate, same in groupby(frames, key=lambda frame: frame.sample_rate):
        held: list[np.ndarray] = []
        size = 0
        for piece in _mono(same):
            while size + len(piece) >= BLOCK:
                cut = BLOCK - size
                yield rate, np.concatenate([*held, piece[:cut]])
                held, size, piece = [], 0, piece[cut:]
            held.append(piece)
            size += len(piece)
        if size:
            yield rate, np.concatenate(held)


def _mono(frames: Iterable[av.AudioFrame]) -> Iterator[np.ndarray]:
    """Frames of a hundredth of a second are mixed many at a time."""
    from av import AudioFifo

    for (_, channels), same in groupby(frames, key=lambda frame: (frame.format.name, frame.layout.nb_channels)):
        fifo = AudioFifo()
        at_once = max(1, _AT_ONCE // channels)
        for frame in same:
            frame.pts, frame.time_base = None, _TIME_BASE  # a fifo wants to see no change in either
            fifo.write(frame)
            while fifo.samples >= at_once:
                yield _mix(fifo.read(at_once), channels)
        if fifo.samples:
            yield _mix(fifo.read(), channels)


def _mix(frame: av.AudioFrame | None, channels: int) -> np.ndarray:
    assert frame is not None
    samples = samples_of(frame, channels)
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind == "u":
        samples = samples.astype(np.float32) - 2.0 ** (bits - 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is an error further on
        mixed = np.full(channels, 1 / channels, np.float32) @ samples.astype(np.float32, copy=False)
    return mixed if kind == "f" else mixed * np.float32(2.0 ** (1 - bits))


def samples_of(frame: av.AudioFrame, channels: int) -> np.ndarray:
    """(channels, samples) in the type of the frame.

    PyAV's to_ndarray looks for a null pointer behind the planes, which from nine channels on nobody has put there: it
    reads wild memory.
    """
    if not frame.format.is_planar:
        return frame.to_ndarray().reshape(-1, channels).T
    dtype = np.dtype(_TYPES[frame.format.name])
    return np.stack([np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in frame.planes[:channels]])
