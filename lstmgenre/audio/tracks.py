"""Tracks: recordings, or their segments, as mono samples at one rate."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, Self, cast

import numpy as np

from lstmgenre import files
from lstmgenre.audio.headers import Part
from lstmgenre.audio.recording import Recording, reason
from lstmgenre.datadir.content import MAX_OVERSHOOT
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.tables.opening import open_input

if TYPE_CHECKING:
    from lstmgenre.audio.resampling import Piece

logger = logging.getLogger(__name__)

SAMPLE_RATE = 22050  # Hz, paper, section 3.1
RATES = (1_000, 768_000)  # Hz: outside, a header is broken

_PAYLOAD = b"AUDIO"  # with which kaldiio begins an audio file in an archive
_IN_MEMORY = 2**26  # bytes of decoded samples (12 minutes) that are kept off the disk
_HELD = 16  # blocks of a recording (3 minutes at 44.1 kHz) in which the next segment may start


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


class Tracks:
    """Opens tracks, one after the other: mono (the mean of the channels) at `sample_rate` Hz.

    A recording is decoded once for all segments that follow one another in it. `quantise` rounds and clips to 16 bit,
    as the WAV files of the paper have it (section 3.1). Full scale is [-1, 1]; without `quantise` a lossy decoder may
    overshoot that slightly.
    """

    def __init__(self, *, sample_rate: int = SAMPLE_RATE, quantise: bool = False) -> None:
        self._sample_rate, self._quantise = sample_rate, quantise
        self._opened = ExitStack()
        self._rxfilename: str | None = None  # of the recording that is open
        self._recording: Recording
        self._pieces: Iterator[Piece]
        self._held: deque[tuple[int, Piece]]  # its last pieces, and at which sample each starts
        self._done = 0  # its samples that have been decoded
        self._warned: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def open(self, rxfilename: str, start: float | None = None, end: float | None = None) -> Samples:
        """A recording, or from `start` to `end` in seconds of it: the very samples that all of it has there.

        `rxfilename` is a path or a pipe (``sox x.m4a -t wav - |``). What does not decode is passed over, with a
        warning.

        Raises DataError where nothing can be decoded, a sample is not finite, or a segment lies outside its recording.
        """
        if not 0 <= (start or 0) < (math.inf if end is None else end) or end == math.inf:
            raise DataError(f"{rxfilename}: a segment from {start} s to {end} s is none: want 0 <= start < end")
        first = self._samples(start or 0)
        if rxfilename != self._rxfilename or first < (self._held[0][0] if self._held else self._done):
            self._begin(rxfilename, held=0 if start is None and end is None else _HELD)
        blocks = finished(self._between(start, end), self._sample_rate, self._quantise, rxfilename)
        track = Samples(_raising(blocks, rxfilename))
        if not self._recording.seconds:
            raise self._recording.failure
        if (warning := self._recording.warning) and warning != self._warned:
            logger.warning("%s: %s: used the rest", rxfilename, warning)
            self._warned = warning
        return track

    def _samples(self, seconds: float) -> int:
        return round(min(seconds * self._sample_rate, 2.0**62))

    def _begin(self, rxfilename: str, held: int) -> None:
        self._close()
        self._recording = Recording(self._opened.enter_context(_seekable_file(rxfilename)), rxfilename)
        self._pieces = _pieces(self._recording, self._sample_rate, rxfilename)
        self._held, self._done, self._warned = deque(maxlen=held), 0, None
        self._rxfilename = rxfilename

    def _close(self) -> None:
        self._rxfilename = None
        self._opened.close()

    def _between(self, start: float | None, end: float | None) -> Iterator[np.ndarray]:
        """The samples, cut after the resampling: before, the segment's ends would be resampled against silence."""
        first = self._samples(start or 0)
        last = 2**63 if end is None else self._samples(end)
        for at, (size, samples) in [*self._held]:
            if at + size > first and at < last:
                yield samples()[max(first - at, 0) : last - at]
        while self._done < last and (piece := self._next()):
            at = self._done - piece[0]
            if self._done > first:
                yield piece[1]()[max(first - at, 0) : last - at]
        done = self._done
        if done and (done <= first or (end is not None and last - done > MAX_OVERSHOOT * self._sample_rate)):
            where = f"from {start or 0:g} s to {'its end' if end is None else f'{end:g} s'}"
            raise DataError(
                f"{self._rxfilename}: the segment {where} lies past the end of {done / self._sample_rate:.2f} s of "
                "audio: mend the segments file"
            )

    def _next(self) -> Piece | None:
        try:
            piece = next(self._pieces, None)
        except BaseException:  # what raised has ended: it must not pass for the end of the recording
            self._close()
            raise
        if piece:
            if self._held.maxlen:  # several segments may lie in it
                piece = piece[0], cache(piece[1])
            self._held.append((self._done, piece))
            self._done += piece[0]
        return piece


def _pieces(recording: Recording, sample_rate: int, rxfilename: str) -> Iterator[Piece]:
    """All of a recording at `sample_rate`, whatever rates its parts have."""
    from lstmgenre.audio.resampling import resampled

    for rate, blocks in parts_by_rate(recording, rxfilename):
        yield from resampled(blocks, rate, sample_rate)


def parts_by_rate(recording: Recording, rxfilename: str) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """The rates that a recording has, one after the other, and its mono blocks at each."""
    for rate, blocks in groupby(recording.blocks(), key=itemgetter(0)):
        if not RATES[0] <= rate <= RATES[1]:
            raise DataError(
                f"{rxfilename}: has {rate} samples a second: want {RATES[0]} to {RATES[1]}; mend its header"
            )
        yield rate, (block for _, block in blocks)


def finished(blocks: Iterable[np.ndarray], sample_rate: int, quantise: bool, rxfilename: str) -> Iterator[np.ndarray]:
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
