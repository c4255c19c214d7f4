"""Audio files, pipes and segments to mono samples at 22 050 Hz; tags; what a file really holds.

FFmpeg decodes, through PyAV (recording.py); torchaudio resamples (resampling.py). A file is decoded, mixed and
resampled block by block, so that a track of hours never stands in memory. Importing this imports neither of the two.
What is decoded already goes the same way (`from_array`).
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lstmgenre.audio.mixing import blocks_of
from lstmgenre.audio.recording import Recording, reason
from lstmgenre.audio.tracks import RATES, SAMPLE_RATE, Samples, Tracks, finished, parts_by_rate
from lstmgenre.errors import DataError
from lstmgenre.tables.opening import open_file

__all__ = ["RATES", "SAMPLE_RATE", "Probe", "Samples", "Tracks", "from_array", "load", "open_track", "probe", "tags"]


@dataclass(frozen=True)
class Probe:
    """What a file holds: seconds that decode, of the first stream the rate in Hz, the channels and FFmpeg's name of the
    codec; `tags` as `tags` gives them; `warning` says what was skipped or is missing."""

    duration: float
    sample_rate: int
    channels: int
    codec: str
    tags: dict[str, str]
    warning: str | None


def load(rxfilename: str, **options: Any) -> np.ndarray:
    """The whole track as one float32 array (samples,): options and errors are those of `open_track`."""
    return open_track(rxfilename, **options)[:]


def from_array(
    samples: npt.ArrayLike, rate: float, *, sample_rate: int = SAMPLE_RATE, quantise: bool = False
) -> npt.NDArray[np.float32]:
    """The track (samples,), float32 at `sample_rate` Hz, that a file of these samples at `rate` Hz would give.

    `samples` is (samples,) or (samples, channels), as soundfile and SciPy read it. Numbers with a point are taken as
    they are: full scale is [-1, 1]. Integers of 8, 16 or 32 bits are divided by their type's full scale (int16: 32768;
    uint8: 128 is silence). `quantise` as in `open_track`.

    Raises DataError for other shapes and types (the full scale of int64 is not to be known), for no samples, for a
    sample that is not finite, and for a rate that is no whole number from 1000 to 768000.
    """
    from lstmgenre.audio.resampling import resampled

    array = _checked(samples)
    if not isinstance(rate, int | float | np.number) or not RATES[0] <= rate <= RATES[1] or rate != int(rate):
        raise DataError(f"a rate of {rate!r} Hz: want a whole number from {RATES[0]} to {RATES[1]}")
    pieces = (piece() for _, piece in resampled(blocks_of(array), int(rate), sample_rate))
    return np.concatenate(list(finished(pieces, sample_rate, quantise, "the array")))


def _checked(samples: npt.ArrayLike) -> np.ndarray:
    """As an array (samples, channels) of a type whose full scale is known."""
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"the samples are no array: {reason(error)}: give (samples,) or (samples, channels)") from error
    if array.ndim not in (1, 2) or not array.size:
        raise DataError(f"samples of shape {array.shape}: give (samples,) or (samples, channels), and not none")
    if array.dtype.kind not in "fiu" or (array.dtype.kind != "f" and array.dtype.itemsize > 4):
        raise DataError(f"samples of type {array.dtype}: give floats in [-1, 1], or integers of 8, 16 or 32 bits")
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise DataError(f"{array.shape[0]} samples of {array.shape[1]} channels: transpose them: (samples, channels)")
    return array.reshape(len(array), -1)


def open_track(
    rxfilename: str,
    *,
    sample_rate: int = SAMPLE_RATE,
    start: float | None = None,
    end: float | None = None,
    quantise: bool = False,
) -> Samples:
    """One track: see `Tracks`, which opens many, and its `open`."""
    with Tracks(sample_rate=sample_rate, quantise=quantise) as tracks:
        return tracks.open(rxfilename, start, end)


def probe(path: str | os.PathLike[str]) -> Probe:
    """Decode a file to its end, for headers lie. Raises DataError where `open_track` would."""
    name = os.fspath(path)
    with open_file(name) as file:
        recording = Recording(file, name)
        for rate, blocks in parts_by_rate(recording, name):
            deque(finished(blocks, rate, False, name), maxlen=0)
    if not recording.seconds:
        raise recording.failure
    return Probe(
        recording.seconds,
        recording.sample_rate,
        recording.channels,
        recording.codec,
        recording.tags,
        recording.warning,
    )


def tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """The tags artist, album_artist, album, title and genre of a file, those that it has, as one line of text each.

    Of several values it is the first, where the format tells them apart. {} where FFmpeg cannot open the file; raises
    DataError where it cannot be read.
    """
    with open_file(os.fspath(path)) as file:
        return Recording(file, os.fspath(path)).read_tags()
