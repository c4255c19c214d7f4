"""One audio file as FFmpeg decodes it: frames to the last one that decodes, and what was found on the way.

FFmpeg believes fewer headers than players do and resumes after damage. What it does not do by itself is done here:
a file of several streams one after the other is decoded stream by stream, a packet that does not decode is counted
and passed over, and nothing that a file names is opened.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lstmgenre.audio.headers import Part, announced, parts_of
from lstmgenre.audio.mixing import BLOCK, channels_of, mono_blocks
from lstmgenre.audio.tagging import clean_tags
from lstmgenre.errors import DataError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

_UNCOMPRESSED = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff", b".snd")
_RETRIES = 20  # errors of a demuxer without a packet between them, after which there is nothing more to come
_GAPS = range(1024, 2**22)  # samples: less is a matter of rounding, and a position that jumps further is damaged itself
_FILLED = 8  # channels: PyAV cannot make planar frames of more
_TOLERANCE = 0.05  # seconds that a header may announce in vain: encoders pad, and round


class Recording:
    """An open file. `frames` may be asked for once; the attributes speak of what it has yielded so far."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._start = file.tell()
        self._skipped: list[tuple[float, float]] = []  # where, and how long, in seconds
        self._ended_by: Exception | None = None
        self._announced: float | None = None
        self._decoded: Counter[int] = Counter()  # samples a rate
        self.codec = ""
        self.sample_rate = 0
        self.channels = 0
        self.tags: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        return sum(samples / rate for rate, samples in self._decoded.items())

    def frames(self) -> Iterator[av.AudioFrame]:
        """Every frame that decodes, whatever its rate and its channels. Raises DataError where the disk fails."""
        self._file.seek(self._start)
        try:
            parts = parts_of(self._file)
        except OSError as error:
            raise DataError(f"{self._name}: cannot be read: {reason(error)}; give a file") from error
        for part in parts:
            try:
                with open_part(part) as container:
                    yield from self._frames_of(container)
                    if len(parts) == 1:
                        self._announced = announced(part, container, self.seconds)
            except Exception as error:  # of whatever class a decoder's author found right
                self._ended_by = self._ended_by or error
            if part.error:
                raise DataError(f"{self._name}: cannot be read: {reason(part.error)}; check the disk") from part.error

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The same, as mono blocks with their rates."""
        yield from mono_blocks(self.frames())
        if not self.seconds:
            yield from self._by_libsndfile()

    def read_tags(self) -> dict[str, str]:
        """The tags alone; {} where FFmpeg cannot open the file."""
        try:
            with open_part(parts_of(self._file)[0]) as container:
                return clean_tags(container, container.streams.best("audio"))
        except Exception:
            return {}

    def _by_libsndfile(self) -> Iterator[tuple[int, np.ndarray]]:
        """What FFmpeg does not take: more than 512 channels, and a few formats that no player knows.

        Only what begins like uncompressed audio: libsndfile's mp3 decoder writes to stderr.
        """
        import soundfile

        self._file.seek(self._start)
        if self._file.read(4) not in _UNCOMPRESSED:
            return
        try:
            os.lseek(self._file.fileno(), self._start, os.SEEK_SET)
            # A file descriptor: libsndfile tells of a broken file by tracebacks if it has to read through Python.
            with soundfile.SoundFile(self._file.fileno(), closefd=False) as sound:
                self.codec, self.sample_rate, self.channels = sound.subtype, sound.samplerate, sound.channels
                mix = np.full(sound.channels, 1 / sound.channels, dtype=np.float32)
                at_once = max(1, BLOCK // sound.channels)
                while len(block := sound.read(at_once, dtype="float32", always_2d=True)):
                    self._decoded[sound.samplerate] += len(block)
                    yield sound.samplerate, block @ mix
        except (OSError, soundfile.LibsndfileError) as error:
            self._ended_by = self._ended_by or error

    def _frames_of(self, container: InputContainer) -> Iterator[av.AudioFrame]:
        from av import AudioFrame

        stream: Any = container.streams.best("audio")
        if stream is None:
            return
        self.tags = self.tags or clean_tags(container, stream)
        self.codec = self.codec or stream.codec_context.name
        stream.codec_context.thread_count = 1
        if container.format.name == "flac":
            stream.codec_context.options = {"err_detect": "crccheck+explode"}  # else what is damaged decodes to noise
        has_positions = container.format.name in ("flac", "ogg")
        expected: int | None = None
        for packet in self._packets(container, stream):
            try:
                frames = packet.decode()
            except Exception:
                if packet.size and not has_positions:
                    self._skipped.append((self.seconds, float((packet.duration or 0) * (packet.time_base or 0))))
                continue
            for frame in frames:
                if not isinstance(frame, AudioFrame) or not frame.samples:
                    continue
                if has_positions and frame.pts is not None:
                    gap = 0 if expected is None else frame.pts - expected
                    if (
                        gap in _GAPS and frame.layout.nb_channels <= _FILLED
                    ):  # what comes after something damaged stays where it was
                        self._skipped.append((self.seconds, gap / frame.sample_rate))
                        yield self._counted(_silence(frame, gap))
                    expected = frame.pts
                if expected is not None:
                    expected += frame.samples
                yield self._counted(frame)

    def _counted(self, frame: av.AudioFrame) -> av.AudioFrame:
        if not self._decoded:
            self.sample_rate, self.channels = frame.sample_rate, frame.layout.nb_channels
        self._decoded[frame.sample_rate] += frame.samples
        return frame

    def _packets(self, container: InputContainer, stream: Any) -> Iterator[av.Packet]:
        """The packets of a stream, also after one that could not be read."""
        failures = 0
        while True:
            try:
                for packet in container.demux(stream):
                    failures = 0
                    yield packet
                return
            except Exception:
                failures += 1
                self._skipped.append((self.seconds, 0))
                if failures == _RETRIES:
                    return

    @property
    def warning(self) -> str | None:
        """What was skipped, or is missing at the end; None where all is as it should be."""
        found = []
        if self._announced and self._announced > self.seconds + _TOLERANCE:
            found.append(f"ends after {self.seconds:.2f} s, its header says {self._announced:.2f} s")
        # The end of a file that is cut short is damaged by nature.
        skipped = [(at, length) for at, length in self._skipped if at < self.seconds or not found]
        if skipped:
            length = sum(length for _, length in skipped)
            pieces = "a damaged piece" if len(skipped) == 1 else f"{len(skipped)} damaged pieces"
            found.append(f"skipped {pieces} ({length:.2f} s), the first after {skipped[0][0]:.2f} s")
        if self._ended_by and self._decoded:
            found.append(f"a part could not be decoded ({reason(self._ended_by)})")
        return "; ".join(found) or None

    @property
    def failure(self) -> DataError:
        """Why there was no frame."""
        why = f"cannot be decoded ({reason(self._ended_by)})" if self._ended_by else "holds no audio"
        return DataError(f"{self._name}: {why}: replace the file, or leave it out")


def open_part(part: Part) -> InputContainer:
    """FFmpeg's view of a part of a file. Raises what it will."""
    import av

    # A playlist names other files, and addresses. FFmpeg reads what it is given here, and may open nothing else.
    return av.open(part, "r", options={"protocol_whitelist": "none"}, metadata_errors="replace", buffer_size=2**18)


def _silence(like: av.AudioFrame, samples: int) -> av.AudioFrame:
    from av import AudioFrame

    channels = like.layout.nb_channels
    shape = (channels, samples) if like.format.is_planar else (1, channels * samples)
    zeros = np.zeros(shape, channels_of(like, channels)[0].dtype)
    frame = AudioFrame.from_ndarray(zeros, like.format.name, like.layout.name)
    frame.sample_rate = like.sample_rate
    return frame


def reason(error: Exception) -> str:
    """An error of FFmpeg without its number and name of file."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
