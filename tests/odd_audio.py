"""Audio files of every kind that people have, whole and odd, as bytes: encoded by PyAV, then changed by hand."""

import io
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import soundfile

RATE = 44100
SECONDS = 2.0


def signal(rate=RATE, channels=2, seconds=SECONDS, seed=0):
    """A tone and noise, int16 (samples, channels)."""
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(len(t), channels))
    return ((0.3 * np.sin(2 * np.pi * 440 * t)[:, None] + noise).clip(-1, 1) * 32767).astype(np.int16)


@cache
def encoded(
    form, codec, rate=RATE, channels=2, seconds=SECONDS, options=(), tags=(), sample_format=None, bit_rate=None
):
    """`signal` as FFmpeg writes it; `form` is a container's name."""
    samples = signal(rate, channels, seconds)
    options = dict(options)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a")
        _encode(path, samples, form, codec, rate, channels, options, dict(tags), sample_format, bit_rate)
        return path.read_bytes()


def _encode(path, samples, form, codec, rate, channels, options, tags, sample_format, bit_rate):
    with av.open(path, "w", format=form, options=options) as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec, rate=rate)
        if bit_rate:
            stream.bit_rate = bit_rate
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
        stream.layout = layout
        if sample_format:
            stream.format = sample_format
        size = stream.codec_context.frame_size or 1152
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, stream.layout, rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(part))


def mp3(**options):
    return encoded("mp3", "libmp3lame", **options)


def wav(samples=None, rate=RATE, bits=16):
    """A RIFF file of one fmt and one data chunk."""
    samples = signal(rate) if samples is None else samples
    channels = samples.shape[1]
    data = samples.astype(f"<i{bits // 8}").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    return riff(chunk(b"fmt ", form) + chunk(b"data", data))


def chunk(name, content, size=None):
    return name + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def riff(content):
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WAVE" + content


def id3(content=b"", size=None):
    """An ID3v2.3 tag that says it is `size` bytes long."""
    size = len(content) if size is None else size
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + content


def id3_text(name, text):
    content = b"\0" + text.encode("latin-1")
    return name + struct.pack(">IH", len(content), 0) + content


def noise(size, seed=1):
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


def replaced(content, at, new):
    return content[:at] + new + content[at + len(new) :]


def xing_frames(content, factor):
    """An mp3 whose Xing header counts `factor` times as many frames."""
    at = max(content.find(b"Xing"), content.find(b"Info"))
    assert at > 0
    assert content[at + 7] & 1
    frames = struct.unpack_from(">I", content, at + 8)[0]
    return replaced(content, at + 8, struct.pack(">I", round(frames * factor)))


def flac_total(content, total):
    """A FLAC file whose STREAMINFO says `total` samples."""
    assert content[:4] == b"fLaC"
    return replaced(content, 21, bytes([content[21] & 0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF))


def ogg(packets, positions, serial=1):
    """A stream of Ogg pages with a packet each; `positions` are their granules, in samples."""
    pages = []
    for k, (packet, position) in enumerate(zip(packets, positions, strict=True)):
        flags = (k == 0) * 2 + (k == len(packets) - 1) * 4
        lacing = [255] * (len(packet) // 255) + [len(packet) % 255]
        assert len(lacing) < 256
        head = struct.pack("<4sBBQIII", b"OggS", 0, flags, position, serial, k, 0)
        page = head + bytes([len(lacing), *lacing]) + packet
        pages.append(page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:])
    return b"".join(pages)


def _ogg_crc(page):
    crc = 0
    for byte in page:
        crc = crc << 8 & 0xFFFFFFFF ^ _OGG_CRC[crc >> 24 ^ byte]
    return crc


def _ogg_crc_of(byte):
    crc = byte << 24
    for _ in range(8):
        crc = crc << 1 ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


_OGG_CRC = [_ogg_crc_of(byte) for byte in range(256)]


@cache
def ogg_flac(**options):
    """FLAC in Ogg, by the mapping of xiph.org."""
    content = encoded("flac", "flac", **options)
    with av.open(io.BytesIO(content)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    positions = np.cumsum([packet.duration for packet in packets]).tolist()
    first = b"\x7fFLAC\1\0\0\1fLaC\0\0\0\x22" + content[8:42]
    comment = b"\x84" + struct.pack(">I", 8)[1:] + struct.pack("<II", 0, 0)
    return ogg([first, comment, *map(bytes, packets)], [0, 0, *positions])


@cache
def vorbis(rate=RATE, channels=2, subtype="VORBIS"):
    """By libsndfile: PyAV's FFmpeg has no good encoder. The serial number is another one each time."""
    file = io.BytesIO()
    soundfile.write(file, signal(rate, channels), rate, format="OGG", subtype=subtype)
    return file.getvalue()


def flac(**options):
    return encoded("flac", "flac", **options)


def opus(**options):
    return encoded("ogg", "libopus", rate=48000, **options)


def half(content):
    return content[: len(content) // 2]


def flipped(content, share):
    """With one byte turned into its complement, at that share of its length."""
    at = round(len(content) * share)
    return replaced(content, at, bytes([content[at] ^ 0xFF]))


def with_data_size(content, size):
    """A RIFF file whose header says so many bytes of samples."""
    at = content.find(b"data")
    return replaced(replaced(content, at + 4, struct.pack("<I", size)), 4, struct.pack("<I", size))


def w64_data_size(size):
    content = encoded("w64", "pcm_s16le")
    return replaced(content, content.find(b"data") + 16, struct.pack("<Q", size))


def w64_with_a_comment():
    content = encoded("w64", "pcm_s16le")
    guid = b"bext" + content[content.find(b"fmt ") + 4 : content.find(b"fmt ") + 16]
    text = b"my data file, which is odd"
    at = content.find(b"data")
    return content[:at] + guid + struct.pack("<Q", 24 + len(text)) + text + bytes(-len(text) % 8) + content[at:]


def in_two_chunks(content, *between):
    """A RIFF file with its samples in two data chunks."""
    at = content.find(b"data")
    data = content[at + 8 :]
    middle = len(data) // 8 * 4
    return riff(content[12:at] + chunk(b"data", data[:middle]) + b"".join(between) + chunk(b"data", data[middle:]))


def mp3_in_riff():
    form = struct.pack("<HHIIHHH", 0x55, 2, RATE, 16000, 1, 0, 0)
    return riff(chunk(b"fmt ", form) + chunk(b"data", mp3()))


def cover():
    """An ID3 tag with a picture, which FFmpeg takes for a film of one frame."""
    picture = b"\0image/jpeg\0\3\0\xff\xd8\xff\xe0" + noise(30000)
    return id3(b"APIC" + struct.pack(">IH", len(picture), 0) + picture)


def ape():
    """An APEv2 tag of one item that is noise."""
    size = struct.pack("<II", 2000, 96) + struct.pack("<I", 0)
    return b"APETAGEX" + size + struct.pack("<I", 0xA0000000) + bytes(8) + noise(64) + b"APETAGEX" + size + bytes(12)


ARTIST = id3_text(b"TPE1", "Somebody")

COMMENT = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"metadata from the archive"))

# What the encoder of an mp3 adds at both ends is there where no header says how much it is.
PADDED = 2.03

# Name of a file, how it is made, and the seconds that it holds.
WHOLE = {
    "a.mp3": (mp3, 2),
    "mono.mp3": (lambda: mp3(channels=1), 2),
    "11025.mp3": (lambda: mp3(rate=11025), 2),
    "aac.m4a": (lambda: encoded("ipod", "aac"), 2.03),
    "51.m4a": (lambda: encoded("ipod", "aac", channels=6), 2.03),
    "alac.m4a": (lambda: encoded("ipod", "alac"), 2),
    "fragments.mp4": (lambda: encoded("mp4", "aac", options=(("movflags", "frag_keyframe+empty_moov"),)), 2.03),
    "a.aac": (lambda: encoded("adts", "aac"), 2.03),
    "a.wma": (lambda: encoded("asf", "wmav2", bit_rate=128000), 2),
    "a.ac3": (lambda: encoded("ac3", "ac3"), 2),
    "a.eac3": (lambda: encoded("eac3", "eac3"), 2),
    "a.flac": (flac, 2),
    "24.flac": (lambda: flac(sample_format="s32"), 2),
    "51.flac": (lambda: flac(channels=6), 2),
    "vorbis.ogg": (vorbis, 2),
    "flac.ogg": (ogg_flac, 2),
    "a.opus": (opus, 2),
    "a.webm": (lambda: encoded("webm", "libopus", rate=48000), 2),
    "a.mka": (lambda: encoded("matroska", "aac"), 2.03),
    "a_word_in_a_comment.wav": (lambda: riff(wav()[12:36] + COMMENT + wav()[36:]), 2),
    "a_word_in_a_comment.w64": (lambda: w64_with_a_comment(), 2),
    "a.aiff": (lambda: encoded("aiff", "pcm_s16be"), 2),
    "a.au": (lambda: encoded("au", "pcm_s16be"), 2),
    "a.caf": (lambda: encoded("caf", "pcm_s16le"), 2),
    "a.w64": (lambda: encoded("w64", "pcm_s16le"), 2),
    "rf64.wav": (lambda: encoded("wav", "pcm_s16le", options=(("rf64", "always"),)), 2),
    "8.wav": (lambda: encoded("wav", "pcm_u8"), 2),
    "24.wav": (lambda: encoded("wav", "pcm_s24le"), 2),
    "32.wav": (lambda: encoded("wav", "pcm_s32le"), 2),
    "float.wav": (lambda: encoded("wav", "pcm_f32le"), 2),
    "double.wav": (lambda: encoded("wav", "pcm_f64le"), 2),
    "mulaw.wav": (lambda: encoded("wav", "pcm_mulaw"), 2),
    "ima.wav": (lambda: encoded("wav", "adpcm_ima_wav"), 2),
    "ms.wav": (lambda: encoded("wav", "adpcm_ms"), 2.02),
    "a.mp2": (lambda: encoded("mp2", "mp2"), 2.01),
    "a.wv": (lambda: encoded("wv", "wavpack"), 2),
    "a.tta": (lambda: encoded("tta", "tta"), 2),
    "a.ts": (lambda: encoded("mpegts", "aac"), 2.03),
    "a.avi": (lambda: encoded("avi", "libmp3lame"), PADDED),
    "a.mov": (lambda: encoded("mov", "pcm_s16le"), 2),
}

ODD = {
    "no_xing.mp3": (lambda: mp3(options=(("write_xing", "0"),)), PADDED),
    "320_no_xing.mp3": (lambda: mp3(options=(("write_xing", "0"),), bit_rate=320_000), PADDED),
    **{f"xing_{x}.mp3": (lambda x=x: xing_frames(mp3(), x), 2) for x in (0, 0.001, 0.5, 2)},
    "joined.mp3": (lambda: mp3() + mp3(), 4.05),
    "joined_22050.mp3": (lambda: mp3() + mp3(rate=22050), 4.05),
    "joined_48000.mp3": (lambda: mp3() + mp3(rate=48000), 4.05),
    "joined_mono.mp3": (lambda: mp3() + mp3(channels=1), 4.05),
    "joined_stereo.mp3": (lambda: mp3(channels=1) + mp3(), 4.05),
    "joined_by_a_tag.mp3": (lambda: mp3() + id3(noise(5000)) + mp3(), 4.02),
    "joined.flac": (lambda: flac() + flac(), 4),
    "joined_48000.flac": (lambda: flac() + flac(rate=48000), 4),
    "joined_mono.flac": (lambda: flac() + flac(channels=1), 4),
    "joined_24_bits.flac": (lambda: flac() + flac(sample_format="s32"), 4),
    "joined_by_a_tag.flac": (lambda: id3(bytes(100)) + flac() + id3(bytes(100)) + flac(), 4),
    "chained.ogg": (lambda: vorbis() + vorbis(), 4),
    "chained_22050.ogg": (lambda: vorbis() + vorbis(rate=22050), 4),
    "chained_mono.ogg": (lambda: vorbis() + vorbis(channels=1), 4),
    "chained_thrice.ogg": (lambda: vorbis(rate=48000) + vorbis(channels=1) + vorbis(rate=22050), 6),
    "chained_flac.ogg": (lambda: ogg_flac() + ogg_flac(rate=22050) + ogg_flac(channels=1), 6),
    "chained_codecs.ogg": (lambda: opus() + vorbis() + ogg_flac(), 6),
    "chained_mono.opus": (lambda: opus() + opus(channels=1), 4),
    "chained_after_a_cut.ogg": (lambda: half(vorbis()) + vorbis(), 2.81),
    **{f"total_{n}.flac": (lambda n=n: flac_total(flac(), n), 2) for n in (0, 1000, 88201, 176400, 2**36 - 1)},
    "other_md5.flac": (lambda: replaced(flac(), 26, bytes(16)), 2),
    **{f"flipped_{x}.flac": (lambda x=x: flipped(flac(), x), 2) for x in (0.1, 0.3, 0.5, 0.7)},
    "flipped_at_the_end.flac": (lambda: flipped(flac(), 0.95), 1.88),
    "garbage_inside.flac": (lambda: flac()[:100000] + noise(5000) + flac()[100000:], 2),
    "garbage_before.flac": (lambda: noise(5000) + flac(), 2),
    "zeros_before.flac": (lambda: bytes(5000) + flac(), 2),
    "id3.flac": (lambda: id3(ARTIST) + flac(), 2),
    "flipped.ogg": (lambda: flipped(vorbis(), 0.5), 2),
    "garbage_before.ogg": (lambda: noise(3000) + vorbis(), 2),
    "garbage_inside.ogg": (lambda: vorbis()[:20000] + noise(5000) + vorbis()[20000:], 2),
    "flipped.m4a": (lambda: flipped(encoded("ipod", "aac"), 0.4), 2.02),
    "flipped.mp3": (lambda: flipped(mp3(), 0.4), 2),
    **{
        f"data_size_{n:x}.wav": (lambda n=n: with_data_size(wav(), n), 2)
        for n in (0, 1_000_000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    },
    "two_chunks.wav": (lambda: in_two_chunks(wav()), 2),
    "two_chunks_and_a_list.wav": (lambda: in_two_chunks(wav(), chunk(b"LIST", b"INFOabcd")), 2),
    "two_chunks.adpcm.wav": (lambda: in_two_chunks(wav(bits=32)), 2),
    "joined.wav": (lambda: wav() + wav(), 4),
    "joined_22050.wav": (lambda: wav() + wav(rate=22050), 4),
    "chunk_before.wav": (lambda: riff(chunk(b"JUNK", bytes(3000)) + wav()[12:]), 2),
    "tag_before.wav": (lambda: id3(ARTIST) + wav(), 2),
    "two_tags_before_a_data_size_of_0.wav": (lambda: id3(ARTIST) + id3(noise(3000)) + with_data_size(wav(), 0), 2),
    "tag_before.m4a": (lambda: id3(ARTIST + noise(200_000)) + encoded("ipod", "aac"), 2.03),
    "zeros_before.wav": (lambda: bytes(5000) + wav(), 2),
    "zeros_before.m4a": (lambda: bytes(5000) + encoded("ipod", "aac"), 2.03),
    "tag_before.wv": (lambda: id3(ARTIST) + encoded("wv", "wavpack"), 2),
    "tag_before.aiff": (lambda: id3(ARTIST) + encoded("aiff", "pcm_s16be"), 2),
    **{f"data_size_{n:x}.w64": (lambda n=n: w64_data_size(n), 2) for n in (0, 24, 2**62, 2**63 - 1)},
    "zeros_after.wav": (lambda: wav() + bytes(20_000_000), 2),
    "two_tags_before.ogg": (lambda: id3(bytes(500)) + id3(bytes(70_000)) + vorbis(), 2),
    "noise_after.wav": (lambda: wav() + noise(3000), 2),
    "garbage_before.mp3": (lambda: noise(5000) + mp3(), PADDED),
    "zeros_before.mp3": (lambda: bytes(70000) + mp3(), PADDED),
    "megabytes_of_zeros_before.mp3": (lambda: bytes(2_000_000) + mp3(), PADDED),
    "garbage_inside.mp3": (lambda: mp3()[:16000] + noise(3000) + mp3()[16000:], 1.98),
    "zeros_inside.mp3": (lambda: mp3()[:16000] + bytes(30000) + mp3()[16000:], 2),
    "zeros_after.mp3": (lambda: mp3() + bytes(30000), 2),
    "tag_longer_than_the_file.mp3": (lambda: id3(ARTIST, size=2**27) + mp3(), PADDED),
    "tag_longer_by_a_little.mp3": (lambda: id3(ARTIST, size=len(mp3()) + 1000) + mp3(), PADDED),
    "tag_too_short.mp3": (lambda: id3(ARTIST + bytes(5000), size=20) + mp3(), PADDED),
    "tag_of_no_size.mp3": (lambda: id3(ARTIST + bytes(5000), size=0) + mp3(), PADDED),
    "tag_in_a_tag.mp3": (lambda: id3(id3(ARTIST + bytes(100)) + bytes(50)) + mp3(), 2),
    "three_tags.mp3": (lambda: id3(bytes(100)) + id3(bytes(100)) + id3(bytes(300)) + mp3(), 2),
    "tag_at_the_end.mp3": (lambda: mp3() + b"TAG" + b"x" * 125, 2),
    "ape.mp3": (lambda: mp3() + ape(), 2),
    "cover.mp3": (lambda: cover() + mp3(), 2),
    "an_mp3.wav": (mp3, 2),
    "an_m4a.mp3": (lambda: encoded("ipod", "aac"), 2.03),
    "mp3.wav": (mp3_in_riff, PADDED),
    "without_extension": (mp3, 2),
}

CUT = {
    "cut.mp3": (lambda: half(mp3()), 1),
    "cut.flac": (lambda: half(flac()), 0.94),
    "cut.wav": (lambda: half(wav()), 1),
    "cut.w64": (lambda: half(encoded("w64", "pcm_s16le")), 1),
    "cut.caf": (lambda: half(encoded("caf", "pcm_s16le")), 1),
    "cut.aiff": (lambda: half(encoded("aiff", "pcm_s16be")), 1),
    "cut.au": (lambda: half(encoded("au", "pcm_s16be")), 1),
    "cut.m4a": (lambda: half(encoded("ipod", "aac", options=(("movflags", "faststart"),))), 1),
    "cut.wma": (lambda: half(encoded("asf", "wmav2", bit_rate=128000)), 0.93),
}
