"""A stream of blocks at one rate to another: torchaudio where the ratio is small, FFmpeg's resampler where it is not.

Imports torch. A worker that limits its threads imports this first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from lstmgenre._torchaudio import resample

# What was resampled, and how many samples that gives: nobody resamples what a segment leaves out.
Piece = tuple[int, Callable[[], np.ndarray]]

_KERNEL_WIDTH = 6  # zero crossings on each side of torchaudio's windowed sinc, its default
_KERNEL_ROLLOFF = 0.99  # its cutoff as a share of the lower Nyquist frequency, its default
_SMALL_RATIO = 16  # up to here (44 100 Hz to half of it is 2 to 1) a convolution by torch takes 6 to 20 times as long
_FRAME = 64  # samples of a frame that a matrix resamples: less is more margin than frame, more is more zeros
_KERNEL_LIMIT = 2**20  # its elements (4 MB): that of two rates without a common factor would take gigabytes


def resampled(blocks: Iterable[np.ndarray], rate: int, sample_rate: int) -> Iterator[Piece]:
    """Blocks (samples,), float32, at `rate` Hz to pieces at `sample_rate` Hz.

    n samples become ceil(n * sample_rate / rate), and the same ones however they are cut into blocks, but for float
    rounding.
    """
    if rate == sample_rate:
        return ((len(block), partial(np.asarray, block)) for block in blocks)
    common = math.gcd(rate, sample_rate)
    step, new = rate // common, sample_rate // common  # `step` samples become `new`
    reach = math.ceil(_KERNEL_WIDTH * step / (min(step, new) * _KERNEL_ROLLOFF))  # of the kernel on each side
    if new * (step + 2 * reach) <= _KERNEL_LIMIT:
        return _by_torchaudio(blocks, step, new, reach)
    return _by_ffmpeg(blocks, rate, sample_rate)


def _by_torchaudio(blocks: Iterable[np.ndarray], step: int, new: int, reach: int) -> Iterator[Piece]:
    margin = step * math.ceil(reach / step)
    held = np.empty(0, dtype=np.float32)  # input that is still needed, its first `past` samples as context only
    past = 0

    def piece(stop: int, held: np.ndarray, past: int) -> Piece:
        return stop - past // step * new, lambda: _resample(held, step, new, margin)[past // step * new : stop]

    for block in blocks:
        held = np.concatenate([held, block])
        ready = (len(held) - margin) // step * step  # up to here the kernel sees all that it reaches
        if ready > past:
            yield piece(ready // step * new, held, past)
            drop = max(ready - margin, 0)
            held, past = held[drop:], ready - drop
    yield piece(math.ceil(len(held) * new / step), held, past)


def _resample(samples: np.ndarray, step: int, new: int, margin: int) -> np.ndarray:
    """What torchaudio makes of these samples, whose ends it takes to lie in silence."""
    if max(step, new) > _SMALL_RATIO:
        return _torchaudio(torch.from_numpy(samples), step, new).numpy()
    weights = _weights(step, new, margin)
    reached = len(weights)
    frame = reached - 2 * margin
    missing = -len(samples) % frame
    frames = sliding_window_view(np.pad(samples, (margin, missing + margin)), reached)[::frame]
    return (torch.from_numpy(np.array(frames)) @ weights).numpy().ravel()


@lru_cache
def _weights(step: int, new: int, margin: int) -> torch.Tensor:
    """The matrix that resamples a frame with a margin on each side, from what torchaudio makes of impulses."""
    steps = max(1, _FRAME // step)
    before = margin // step * new
    return _torchaudio(torch.eye(steps * step + 2 * margin), step, new)[:, before : before + steps * new].contiguous()


def _torchaudio(samples: torch.Tensor, step: int, new: int) -> torch.Tensor:
    return resample(samples, step, new, lowpass_filter_width=_KERNEL_WIDTH, rolloff=_KERNEL_ROLLOFF)


def _by_ffmpeg(blocks: Iterable[np.ndarray], rate: int, sample_rate: int) -> Iterator[Piece]:
    from av import AudioFrame, AudioResampler

    resampler = AudioResampler("fltp", "mono", sample_rate)
    taken = given = 0
    for block in blocks:
        frame = AudioFrame.from_ndarray(block[np.newaxis], "fltp", "mono")
        frame.sample_rate = rate
        taken += len(block)
        for new in resampler.resample(frame):
            given += new.samples
            yield new.samples, partial(_samples_of, new)
    left = -(-taken * sample_rate // rate) - given
    rest = [np.empty(0, np.float32), *(_samples_of(new) for new in resampler.resample(None))]
    last = np.concatenate(rest)[:left]
    yield left, lambda: np.pad(last, (0, left - len(last)))


def _samples_of(frame: object) -> np.ndarray:
    return frame.to_ndarray()[0]  # type: ignore[attr-defined]
