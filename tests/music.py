"""Small pieces of music and trees of them, for the tests of corpora."""

import collections
import csv
import zlib

import numpy as np
import soundfile

from lstmgenre.datadir import DataDir, validate


def write_music(path, seconds=0.5, content=None, **tags):
    """Noise of its own for every path (or `content`); flac and ogg take the tags artist, album, title and genre."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(str(content or path).encode("utf-8", "surrogateescape"))
    noise = 0.1 * np.random.default_rng(seed).normal(size=round(seconds * 22050))
    kind = path.suffix[1:].upper() if path.suffix in (".flac", ".ogg") else "WAV"
    with open(path, "wb") as stream, soundfile.SoundFile(stream, "w", 22050, 1, format=kind) as sound:
        for name, value in tags.items():
            setattr(sound, name, value)
        sound.write(noise)
    return path


def make_tree(src, genres, tracks=10, artist_of=None):
    """GENRE/GENRE.00000.wav and so on, and a manifest of the artists that `artist_of(genre, number)` gives."""
    rows = ["path,artist"]
    for genre in genres:
        for i in range(tracks):
            name = f"{genre}/{genre}.{i:05}.wav"
            write_music(src / name, content=name)
            if artist_of and (artist := artist_of(genre, i)):
                rows.append(f'{name},"{artist}"')
    if artist_of:
        (src / "manifest.csv").write_text("\n".join(rows) + "\n")
    return src


def genre_counts(data):
    return {name: collections.Counter(split.utt2genre.values()) for name, split in data.items()}


def sets_of(data):
    """{path: set} of what a corpus wrote."""
    return {path: name for name, split in data.items() for path in split.wav_scp.values()}


def left_out(out):
    """{path: reason} of DATA/left_out.csv."""
    with open(out / "left_out.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row["reason"] for row in rows}


def snapshot(out):
    """Every file below a directory but logs, with its bytes."""
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.parent.name != "log"}


def assert_kaldi_takes(data):
    """What Kaldi's validate_data_dir.sh asks for, and what was returned is what was written."""
    written = DataDir.read(data.path, need=["wav.scp", "utt2spk", "utt2genre", "genres"])
    assert validate(written) == []
    assert (written.wav_scp, written.utt2spk, written.utt2genre, written.genres) == (
        data.wav_scp,
        data.utt2spk,
        data.utt2genre,
        data.genres,
    )
    lines = (data.path / "utt2spk").read_bytes().splitlines()
    assert lines == sorted(lines)
    artists = [line.split()[1] for line in lines]
    assert artists == sorted(artists)
    assert all(utterance.isascii() for utterance in data.utt2spk)
