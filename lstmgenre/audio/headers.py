"""What the headers of audio files say that FFmpeg does not ask: where a second stream starts, how long it should be."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from av.container import InputContainer

_CHUNK = 2**20  # bytes that are searched at a time
_UNKNOWN_SIZE = 0x7FFFF000  # from here on, what sox and ffmpeg write into the 32-bit header of a stream
_HEAD = 2**16  # bytes in which a header's chunks are looked for
_ID3 = 10  # bytes of the header of an ID3v2 tag

# Where a stream starts anew: a native FLAC stream by its STREAMINFO, an Ogg stream by a page of flag 2.
_FLAC_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_OGG_START = re.compile(rb"OggS\x00[\x02\x06]")
_LONGEST_START = 8

# What FFmpeg knows at the start of a file only. MP4 has the size of its first box before the name.
_CONTAINER = re.compile(rb"\0*(?=R(?:IFF|IFX|F64)....WAVE|FORM....AIF|caff|riff|\.snd|wvpk|OggS|\0\0..ftyp)", re.DOTALL)

# Of a wav, w64 and caf: where the first chunk is; the form of a chunk's size and where it stands; the length of a
# chunk's header, which w64 counts as part of the chunk; what its content is padded to.
_CHUNKS = {b"RIFF": (12, "<I", 4, 8, 2), b"riff": (40, "<Q", 16, 24, 8), b"caff": (8, ">q", 4, 12, 1)}

# FFmpeg derives no length from these: there is none in the file, or it is the position of the last packet.
_ESTIMATED = {"aac", "ac3", "eac3", "amr", "dts", "loas", "mpeg", "mpegts", "ogg", "truehd"}


class Part:
    """Bytes `start` to `stop` of a file behind a header, read as a file: what FFmpeg takes."""

    def __init__(self, file: BinaryIO, start: int, stop: int, header: bytes = b"") -> None:
        self._file, self._start, self._stop, self._header = file, start, stop, header
        self._position = 0
        self.error: OSError | None = None  # PyAV would write an exception to stderr
        # FFmpeg looks at the extension where the first bytes leave a doubt.
        name = getattr(file, "name", None)
        self.name = os.path.basename(name) if isinstance(name, str) else ""

    def __len__(self) -> int:
        return len(self._header) + self._stop - self._start

    def read(self, size: int = -1) -> bytes:
        left = max(0, len(self) - self._position)
        size = left if size < 0 else min(size, left)
        if not size:  # a header may have sent us to where no file reaches
            return b""
        content = self._header[self._position : self._position + size]
        try:
            if not content:
                self._file.seek(self._start + self._position - len(self._header))
                content = self._file.read(size)
        except OSError as error:
            self.error = self.error or error
            return b""
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self)}[whence]
        if not 0 <= base + offset < 2**62:
            return -errno.EINVAL
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def fileno(self) -> int:
        raise OSError("a part of a file has no descriptor")

    def read_at(self, position: int, size: int) -> bytes:
        self._position = position
        return self.read(size)

    def head(self, size: int) -> bytes:
        """The first bytes; what FFmpeg reads next is the first, too."""
        content = self.read_at(0, size)
        self._position = 0
        return content


def parts_of(file: BinaryIO) -> list[Part]:
    """The streams that follow one another in a file, from where it stands to its end: FLAC, Ogg or wav, else one."""
    start = file.tell()
    whole = Part(file, start, file.seek(0, os.SEEK_END))
    head = whole.head(_HEAD)
    if head[:3] == b"ID3" and _past_id3(head) >= len(whole):  # it lies: what follows its ten bytes is noise to FFmpeg
        start += _ID3
        whole = Part(file, start, start + len(whole) - _ID3)
        head = whole.head(_HEAD)
    if before := _before_container(whole):
        start += before
        whole = Part(file, start, start + len(whole) - before)
        head = whole.head(_HEAD)
    starts = [0]
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav_parts(file, start, whole) or [Part(file, start, start + len(whole))]
    if head[:4] == b"OggS":
        starts = _ogg_starts(whole)
    elif whole.name.lower().endswith(".flac") or b"fLaC" in (head[:4], whole.read_at(_past_id3(head), 4)):
        starts = [at for at, _ in _find(whole, _FLAC_START)]
    if not starts or head[:3] == b"ID3":
        starts = [0, *starts[1:]]
    return [Part(file, start + a, start + b) for a, b in pairwise([*starts, len(whole)])]


def _before_container(whole: Part) -> int:
    """How many bytes of ID3 tags and of zeros somebody has put before a file that may have neither."""
    at = 0
    while size := _past_id3(whole.read_at(at, _ID3)):
        at += size
    zeros = _CONTAINER.match(whole.read_at(at, _HEAD))
    return at + zeros.end() if zeros else 0


def _wav_parts(file: BinaryIO, start: int, whole: Part) -> list[Part]:
    """Every data chunk behind the header of its file, where there are several: FFmpeg plays one."""
    parts: list[Part] = []
    begin, at = 0, 0  # where the file and the chunk start
    while len(chunk := whole.read_at(at, 12)) >= 8:
        name, size = chunk[:4], int.from_bytes(chunk[4:8], "little")
        if not 32 <= min(name) <= max(name) < 127:  # no chunk: zeros, perhaps, which a recorder had laid out for more
            break
        if name == b"RIFF" and chunk[8:] == b"WAVE":
            begin, at = at, at + 12
            continue
        if name == b"data":
            if not size or at + 8 + size > len(whole):  # unknown, or cut short
                size = len(whole) - at - 8
            header = whole.read_at(begin, at + 4 - begin) + struct.pack("<I", min(size, 0xFFFFFFFF))
            parts.append(Part(file, start + at + 8, start + at + 8 + size, header))
        at += 8 + size + size % 2
    return parts if len(parts) > 1 else []


def _ogg_starts(whole: Part) -> list[int]:
    """Where a chained stream starts: at a first page that does not follow another one, as it does in a film."""
    starts, follows = [], -1
    for at, _ in _find(whole, _OGG_START):
        if at != follows:
            starts.append(at)
        page = whole.read_at(at + 26, 256)
        follows = at + 27 + page[0] + sum(page[1 : 1 + page[0]]) if page else -1
    return starts


def _find(part: Part, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, bytes]]:
    """Matches in a file that is longer than memory: position and bytes."""
    done = 0
    while True:
        content = part.read_at(done, _CHUNK)
        last = len(content) < _CHUNK
        end = len(content) if last else len(content) - _LONGEST_START + 1
        for match in pattern.finditer(content):
            if match.start() < end:
                yield done + match.start(), match[0]
        if last:
            return
        done += end


def announced(part: Part, container: InputContainer, seconds: float) -> float | None:
    """How long the header says that the audio is, in seconds, where it says that; `seconds` of it are there."""
    head = part.head(_HEAD)
    told, there = _data_size(head, len(part))
    if there:
        return seconds * told / there if 0 < told < _UNKNOWN_SIZE else None
    stream: Any = container.streams.best("audio")
    if stream is None or container.format.name in _ESTIMATED:
        return None
    if container.format.name == "mp3":
        return _mp3_seconds(part, stream.rate)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else None


def _data_size(head: bytes, size: int) -> tuple[int, int]:
    """Bytes of samples by the header of a wav, w64 or caf, and at most in the file: FFmpeg tells the latter only."""
    if head[:4] not in _CHUNKS:
        return 0, 0
    at, form, before_size, own, multiple = _CHUNKS[head[:4]]
    while at + own <= len(head):
        told = struct.unpack_from(form, head, at + before_size)[0] - (own if form == "<Q" else 0)
        if head[at : at + 4] == b"data":
            return told, size - at - own
        at += own + -(-max(told, 0) // multiple) * multiple
    return 0, 0


def _mp3_seconds(part: Part, rate: int) -> float | None:
    """By the frame that says how many there are: Xing's, or LAME's for a constant rate, with what it pads."""
    head = part.read_at(_past_id3(part.head(_HEAD)), _HEAD)
    match = re.search(rb"(?:Xing|Info)\0\0\0([\0-\xff])", head[:4096])
    if not match or not match[1][0] & 1:
        return None
    at = match.start()
    samples = int.from_bytes(head[at + 8 : at + 12], "big") * (1152 if rate >= 32000 else 576)
    if match[1][0] == 15 and head[at + 120 : at + 124] in (b"LAME", b"Lavc", b"Lavf"):
        delay_and_padding = int.from_bytes(head[at + 141 : at + 144], "big")
        samples -= (delay_and_padding >> 12) + (delay_and_padding & 0xFFF)
    return samples / rate


def _past_id3(head: bytes) -> int:
    """The size of an ID3v2 tag with its header, seven bits of each byte count; 0 where there is none."""
    if head[:3] != b"ID3":
        return 0
    return _ID3 + sum((byte & 127) << shift for byte, shift in zip(head[6:_ID3], (21, 14, 7, 0), strict=False))
