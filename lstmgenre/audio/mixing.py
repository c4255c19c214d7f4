"""Decoded frames to mono blocks: the mean of the channels, float32, integers divided by a power of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

BLOCK = 2**19  # samples that are resampled at once: for twice as many torch gets fresh pages each time
_AT_ONCE = 2**17  # samples of all channels that are mixed at once: they stay in the processor's cache
_TIME_BASE = Fraction(1)
_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


def mono_blocks(frames: Iterable[av.AudioFrame]) -> Iterator[tuple[int, np.ndarray]]:
    """(rate, samples): blocks of BLOCK samples, less where the rate changes and at the end."""
    for rate, pieces in groupby(_pieces(frames), key=itemgetter(0)):
        for block in _joined(piece for _, piece in pieces):
            yield rate, block


def blocks_of(samples: np.ndarray) -> Iterator[np.ndarray]:
    """The same blocks of an array (samples, channels): mixed as many at a time, for products are rounded by length."""
    at_once = _at_once(samples.shape[1])
    return _joined(_mix(list(samples[start : start + at_once].T)) for start in range(0, len(samples), at_once))


def _joined(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    size = 0
    for piece in pieces:
        while size + len(piece) >= BLOCK:
            cut = BLOCK - size
            yield np.concatenate([*held, piece[:cut]])
            held, size, piece = [], 0, piece[cut:]
        held.append(piece)
        size += len(piece)
    if size:
        yield np.concatenate(held)


def _pieces(frames: Iterable[av.AudioFrame]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a hundredth of a second, mixed many at a time, with their rates."""
    from av import AudioFifo

    for (rate, _, channels), same in groupby(frames, key=_properties):
        fifo = AudioFifo()
        at_once = _at_once(channels)
        for frame in same:
            frame.pts, frame.time_base = None, _TIME_BASE  # a fifo wants to see no change in either
            fifo.write(frame)
            while fifo.samples >= at_once:
                yield rate, _mix(channels_of(fifo.read(at_once), channels))
        if fifo.samples:
            yield rate, _mix(channels_of(fifo.read(), channels))


def _at_once(channels: int) -> int:
    return max(1, _AT_ONCE // channels)


def _properties(frame: av.AudioFrame) -> tuple[int, str, int]:
    return frame.sample_rate, frame.format.name, frame.layout.nb_channels


def _mix(channels: list[np.ndarray]) -> np.ndarray:
    """The mean of the channels (samples,): (samples,), float32. The full scale of integers, their type's, is 1 then."""
    kind, bits = channels[0].dtype.kind, 8 * channels[0].dtype.itemsize
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is an error further on
        if len(channels) > 2:
            mixed = np.full(len(channels), 1 / len(channels), np.float32) @ np.asarray(channels, np.float32)
        else:  # without a copy of the channels: most audio is of this kind
            mixed = np.add(channels[0], channels[1] if channels[1:] else 0, dtype=np.float32, casting="unsafe")
            mixed *= np.float32(1 / len(channels))
    if kind == "u":
        mixed -= np.float32(2.0 ** (bits - 1))
    if kind != "f":
        mixed *= np.float32(2.0 ** (1 - bits))
    return mixed


def channels_of(frame: av.AudioFrame | None, channels: int) -> list[np.ndarray]:
    """A view of each channel (samples,), in the type of the frame; valid as long as the frame is there.

    PyAV's to_ndarray looks for a null pointer behind the planes, which from nine channels on nobody has put there: it
    reads wild memory.
    """
    assert frame is not None
    dtype = np.dtype(_TYPES[frame.format.name.removesuffix("p")])
    planes = frame.planes[: channels if frame.format.is_planar else 1]
    count = frame.samples * channels // len(planes)
    arrays = [np.frombuffer(memoryview(plane), dtype, count) for plane in planes]
    return arrays if frame.format.is_planar else list(arrays[0].reshape(-1, channels).T)
