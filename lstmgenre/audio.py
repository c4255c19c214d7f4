"""Audio files, pipes and segments to mono samples at 22 050 Hz.

libsndfile decodes (wav, flac, ogg, mp3 and more), torchaudio resamples. A file is read, mixed and resampled block by
block, so that a track of hours never stands in memory in stereo or at its own rate.
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soundfile
import torch

from lstmgenre._torchaudio import resample
from lstmgenre.errors import DataError
from lstmgenre.tables import open_input

logger = logging.getLogger(__name__)

SAMPLE_RATE = 22050  # Hz, paper, section 3.1

_BLOCK = 2**19  # frames that are decoded and resampled at once: for twice as many torch gets fresh pages each time
_KERNEL_WIDTH = 6  # zero crossings on each side of torchaudio's windowed sinc, its default
_KERNEL_ROLLOFF = 0.99  # its cutoff as a share of the lower Nyquist frequency, its default
_KERNEL_LIMIT = 2**26  # elements (256 MB): the kernel of two rates without a common factor takes gigabytes
_MAX_UPSAMPLING = 16  # a file that says it has so low a rate has a broken header
_UNKNOWN_SIZE = 0x7FFFF000  # from here on, what sox and ffmpeg write into the header of a stream
_IN_MEMORY = 2**26  # bytes of decoded samples (12 minutes) that are kept off the disk
_MAX_OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi's extract-segments


class Samples:
    """The samples of a track: a length, and slices that are float32 arrays.

    Many minutes of them lie in a temporary file and not in memory.
    """

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (it lives as long as this does)
        for block in blocks:
            self._file.write(block.tobytes())
        self._length = self._file.tell() // 4

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, step = part.indices(self._length)
        self._file.seek(4 * start)
        return np.frombuffer(bytearray(self._file.read(4 * max(stop - start, 0))), np.float32)[::step]


def load(rxfilename: str, **options: Any) -> np.ndarray:
    """The whole track as one float32 array (samples,): options and errors are those of `open_track`."""
    return open_track(rxfilename, **options)[:]


def open_track(
    rxfilename: str,
    *,
    sample_rate: int = SAMPLE_RATE,
    start: float | None = None,
    end: float | None = None,
    quantise: bool = False,
) -> Samples:
    """Decode audio to mono (the mean of the channels) at `sample_rate` Hz.

    `rxfilename` is a path or a pipe (``sox x.m4a -t wav - |``); `start` and `end` cut a segment, in seconds, before the
    resampling. `quantise` rounds and clips to 16 bit, as the WAV files of the paper have it (section 3.1).

    Full scale is [-1, 1]; without `quantise` a lossy decoder may overshoot that slightly.

    Raises DataError where nothing can be decoded, a sample is not finite, or a segment lies outside its recording.
    """
    if not 0 <= (start or 0) < (math.inf if end is None else end) or end == math.inf:
        raise DataError(f"{rxfilename}: a segment from {start} s to {end} s is none: want 0 <= start < end")
    with _seekable_file(rxfilename) as file:
        try:
            with soundfile.SoundFile(file, closefd=False) as sound:
                mono = _decode(sound, rxfilename, start, end)
                blocks = _resampled(mono, sound.samplerate, sample_rate, rxfilename)
                return Samples(_finished(blocks, sample_rate, quantise, rxfilename))
        except soundfile.LibsndfileError as error:
            raise DataError(
                f"{rxfilename}: cannot be decoded ({error.error_string}): convert it to wav, flac, ogg or mp3"
            ) from error


def _finished(blocks: Iterable[np.ndarray], sample_rate: int, quantise: bool, rxfilename: str) -> Iterator[np.ndarray]:
    """The blocks, checked, and in 16 bits if that is wanted."""
    done = 0
    for block in blocks:
        if not np.isfinite(block).all():
            second = (done + np.flatnonzero(~np.isfinite(block))[0]) / sample_rate
            raise DataError(f"{rxfilename}: a sample near {second:.2f} s is not a finite number: convert the file anew")
        done += len(block)
        yield (block * 32768).round().clip(-32768, 32767) / 32768 if quantise else block


@contextmanager
def _seekable_file(rxfilename: str) -> Iterator[int]:
    """A file descriptor: libsndfile would tell of a broken file by tracebacks if it had to read through Python."""
    with tempfile.SpooledTemporaryFile(max_size=1) as spool:  # makes no file until something is written
        with open_input(rxfilename) as stream:
            if stream.seekable():
                yield stream.fileno()
                return
            # The whole pipe first, so that it is known whether its command failed before any decoding.
            shutil.copyfileobj(stream, spool)
        spool.seek(0)
        yield spool.fileno()


def _decode(
    sound: soundfile.SoundFile, rxfilename: str, start: float | None, end: float | None
) -> Iterator[np.ndarray]:
    """The segment's mono blocks, float32 (frames,), at the rate of the file."""
    rate = sound.samplerate
    first = round((start or 0) * rate)
    if first:
        if first >= sound.frames:
            raise _past_the_end(rxfilename, start, end, sound.frames / rate)
        sound.seek(first)
    # A header may announce more than there is, or (streamed wav) not know: what counts is what can be read.
    wanted = (_announced(sound) if end is None else round(end * rate)) - first
    mix = np.full(sound.channels, 1 / sound.channels, dtype=np.float32)
    done = 0
    while done < wanted:
        block = sound.read(min(_BLOCK, wanted - done), dtype="float32", always_2d=True)
        if not len(block):
            break
        done += len(block)
        yield block @ mix
    if not done:
        raise DataError(f"{rxfilename}: holds no audio: replace the file, or leave it out")
    if end is not None and wanted - done > _MAX_OVERSHOOT * rate:
        raise _past_the_end(rxfilename, start, end, (first + done) / rate)
    if end is None and done < wanted:
        logger.warning(
            "%s: ends after %.2f s, its header says %.2f s: used what is there",
            rxfilename,
            (first + done) / rate,
            (first + wanted) / rate,
        )


def _announced(sound: soundfile.SoundFile) -> int:
    """Frames by the header. libsndfile corrects the count of a file that is cut short, and says so in its log only."""
    sizes = [(int(told), int(there)) for told, there in re.findall(r": (\d+) \(should be (\d+)\)", sound.extra_info)]
    cuts = [told / there for told, there in sizes if there < told < _UNKNOWN_SIZE]
    return round(sound.frames * max(cuts, default=1))


def _resampled(blocks: Iterator[np.ndarray], rate: int, sample_rate: int, rxfilename: str) -> Iterator[np.ndarray]:
    """Resample a stream to the same samples, but for float rounding, as resampling it whole."""
    if rate == sample_rate:
        yield from blocks
        return
    common = math.gcd(rate, sample_rate)
    step, new = rate // common, sample_rate // common  # `step` samples become `new`
    reach = math.ceil(_KERNEL_WIDTH * step / (min(step, new) * _KERNEL_ROLLOFF))  # of the kernel on each side
    if new * (step + 2 * reach) > _KERNEL_LIMIT or new > _MAX_UPSAMPLING * step:
        raise DataError(f"{rxfilename}: cannot resample from {rate} to {sample_rate} Hz: use a pipe that does")
    margin = step * math.ceil(reach / step)
    held = np.empty(0, dtype=np.float32)  # input that is still needed, its first `past` samples as context only
    past = 0
    for block in blocks:
        held = np.concatenate([held, block])
        ready = (len(held) - margin) // step * step  # up to here the kernel sees all that it reaches
        if ready > past:
            yield _resample(held, step, new)[past // step * new : ready // step * new]
            drop = max(ready - margin, 0)
            held, past = held[drop:], ready - drop
    yield _resample(held, step, new)[past // step * new :]


def _resample(samples: np.ndarray, step: int, new: int) -> np.ndarray:
    return resample(
        torch.from_numpy(samples), step, new, lowpass_filter_width=_KERNEL_WIDTH, rolloff=_KERNEL_ROLLOFF
    ).numpy()


def _past_the_end(rxfilename: str, start: float | None, end: float | None, duration: float) -> DataError:
    return DataError(
        f"{rxfilename}: the segment from {start or 0:g} s to {'its end' if end is None else f'{end:g} s'} "
        f"lies past the end of {duration:.2f} s of audio: mend the segments file"
    )
