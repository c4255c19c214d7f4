"""Audio files, pipes and segments to mono samples at 22 050 Hz; tags; what a file really holds.

FFmpeg decodes, through PyAV (recording.py); torchaudio resamples (resampling.py). A file is decoded, mixed and
resampled block by block, so that a track of hours never stands in memory. Importing this imports neither of the two.
What is decoded already goes the same way (`from_array`).
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from lstmgenre import files
from lstmgenre.audio.headers import Part
from lstmgenre.audio.mixing import blocks_of
from lstmgenre.audio.recording import Recording, reason
from lstmgenre.datadir.content import MAX_OVERSHOOT
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.tables.opening import open_file, open_input

if TYPE_CHECKING:
    from lstmgenre.audio.resampling import Piece

logger = logging.getLogger(__name__)

SAMPLE_RATE = 22050  # Hz, paper, section 3.1
RATES = (1_000, 768_000)  # Hz: outside, a header is broken

_PAYLOAD = b"AUDIO"  # with which kaldiio begins an audio file in an archive
_IN_MEMORY = 2**26  # bytes of decoded samples (12 minutes) that are kept off the disk


class Samples:
    """The samples of a track: a length, and slices that are float32 arrays.

    Many minutes of them lie in a temporary file and not in memory.
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (it lives as long as this does)
        for block in blocks:
            with files.in_temporary_directory():
                self._file.write(np.ascontiguousarray(block).view(np.uint8).data)
        with files.in_temporary_directory():
            self._file.flush()
        self._length = self._file.tell() // 4

    def __del__(self) -> None:
        with suppress(OSError):  # what a full disk did not take
            self._file.close()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, step = part.indices(self._length)
        self._file.seek(4 * start)
        samples = np.empty(max(stop - start, 0), np.float32)
        self._file.readinto(samples.view(np.uint8).data)  # in place: these may be gigabytes
        return samples[::step]


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
    return np.concatenate(list(_finished(pieces, sample_rate, quantise, "the array")))


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
    """Decode audio to mono (the mean of the channels) at `sample_rate` Hz.

    `rxfilename` is a path or a pipe (``sox x.m4a -t wav - |``); `start` and `end` cut a segment, in seconds: the very
    samples that the whole track has there. `quantise` rounds and clips to 16 bit, as the WAV files of the paper have it
    (section 3.1).

    Full scale is [-1, 1]; without `quantise` a lossy decoder may overshoot that slightly. What does not decode is
    passed over, with a warning.

    Raises DataError where nothing can be decoded, a sample is not finite, or a segment lies outside its recording.
    """
    if not 0 <= (start or 0) < (math.inf if end is None else end) or end == math.inf:
        raise DataError(f"{rxfilename}: a segment from {start} s to {end} s is none: want 0 <= start < end")
    with _seekable_file(rxfilename) as file:
        recording = Recording(file, rxfilename)
        pieces = _pieces(recording, sample_rate, rxfilename)
        blocks = _finished(_cut(pieces, sample_rate, start, end, rxfilename), sample_rate, quantise, rxfilename)
        track = Samples(_raising(blocks, rxfilename))
        if not recording.seconds:
            raise recording.failure
        if recording.warning:
            logger.warning("%s: %s: used the rest", rxfilename, recording.warning)
        return track


def probe(path: str | os.PathLike[str]) -> Probe:
    """Decode a file to its end, for headers lie. Raises DataError where `open_track` would."""
    name = os.fspath(path)
    with open_file(name) as file:
        recording = Recording(file, name)
        for rate, blocks in _parts(recording, name):
            deque(_finished(blocks, rate, False, name), maxlen=0)
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


def _pieces(recording: Recording, sample_rate: int, rxfilename: str) -> Iterator[Piece]:
    """All of a recording at `sample_rate`, whatever rates its parts have."""
    from lstmgenre.audio.resampling import resampled

    for rate, blocks in _parts(recording, rxfilename):
        yield from resampled(blocks, rate, sample_rate)


def _parts(recording: Recording, rxfilename: str) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The rates that a recording has, one after the other, and its mono blocks at each."""
    for rate, blocks in groupby(recording.blocks(), key=itemgetter(0)):
        if not RATES[0] <= rate <= RATES[1]:
            raise DataError(
                f"{rxfilename}: has {rate} samples a second: want {RATES[0]} to {RATES[1]}; mend its header"
            )
        yield rate, (block for _, block in blocks)


def _cut(
    pieces: Iterable[Piece], sample_rate: int, start: float | None, end: float | None, rxfilename: str
) -> Iterator[np.ndarray]:
    """The segment's samples. They are cut after the resampling: before, its ends would be resampled against silence."""
    first = round(min((start or 0) * sample_rate, 2.0**62))
    last = 2**63 if end is None else round(min(end * sample_rate, 2.0**62))
    done = 0
    for size, samples in pieces:
        if done + size > first:
            yield samples()[max(first - done, 0) : last - done]
        done += size
        if done >= last:
            return
    if done and (done <= first or (end is not None and last - done > MAX_OVERSHOOT * sample_rate)):
        raise DataError(
            f"{rxfilename}: the segment from {start or 0:g} s to {'its end' if end is None else f'{end:g} s'} "
            f"lies past the end of {done / sample_rate:.2f} s of audio: mend the segments file"
        )


def _finished(blocks: Iterable[np.ndarray], sample_rate: int, quantise: bool, rxfilename: str) -> Iterator[np.ndarray]:
    """The blocks, checked, and in 16 bits if that is wanted."""
    done = 0
    for block in blocks:
        if not np.isfinite(block).all():
            second = (done + np.flatnonzero(~np.isfinite(block))[0]) / sample_rate
            raise DataError(
                f"{rxfilename}: a sample near {second:.2f} s is not a finite number: convert the audio anew"
            )
        done += len(block)
        yield (block * 32768).round().clip(-32768, 32767) / 32768 if quantise else block


def _raising(blocks: Iterator[np.ndarray], rxfilename: str) -> Iterator[np.ndarray]:
    """The same blocks: whatever a decoder or a resampler raises is an error of this file, and ends no run."""
    try:
        yield from blocks
    except LstmGenreError:
        raise
    except Exception as error:
        raise DataError(f"{rxfilename}: cannot be decoded ({reason(error)}): convert it, or leave it out") from error


@contextmanager
def _seekable_file(rxfilename: str) -> Iterator[BinaryIO]:
    """A decoder goes back and forth in its file, which a pipe cannot."""
    with open_input(rxfilename) as stream:
        if stream.seekable():
            start = stream.tell()
            is_payload = Part(stream, start, start + len(_PAYLOAD)).read() == _PAYLOAD
            stream.seek(start)
            yield _payload(stream) if is_payload else stream
            return
        # The whole pipe first, so that it is known whether its command failed before any decoding.
        with files.in_temporary_directory():
            spool = tempfile.TemporaryFile()  # noqa: SIM115
            shutil.copyfileobj(stream, spool)
            spool.flush()
    with spool:
        spool.seek(0)
        yield cast(BinaryIO, spool)


def _payload(stream: BinaryIO) -> BinaryIO:
    """The audio file, a FLAC mostly, that stands here in an archive of kaldiio's (ESPnet's `dump/raw`).

    After the name come the size of its size in a byte, and its size. kaldiio itself would decode it with libsndfile, as
    a whole and in float64.
    """
    stream.read(len(_PAYLOAD))
    size = int.from_bytes(stream.read(ord(stream.read(1) or b"\0")), "little")
    start = stream.tell()
    return cast(BinaryIO, Part(stream, start, start + size))
