"""Corpora as Kaldi data directories: each module's `prepare` turns one kind of source into train and test.

`ismir2004` reads the paper's corpus, `folders` any genre/track tree, `demo` synthesises a small corpus. What they have
in common is here: a track, and how a list of tracks becomes a data directory.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError


@dataclass(frozen=True)
class Track:
    """One audio file of a corpus. `name` tells it from the artist's others; `artist` None: not known."""

    genre: str
    artist: str | None
    name: str
    path: Path


def write_data_dir(path: str | os.PathLike[str], tracks: Iterable[Track], genres: Iterable[str]) -> DataDir:
    """Write wav.scp, utt2spk, utt2genre and genres (`genres` in C order, the order of a model's outputs) under `path`.

    The speaker of Kaldi is the artist; a track without one is its own. Utterance ids are ASCII, depend on nothing but
    the names of the track, and start with the artist: the "-" after it sorts before every other character of an id, so
    that utt2spk sorted by utterance is sorted by artist too, as Kaldi demands.

    Raises DataError where a track is there twice, or where Kaldi would not take its path for a path.
    """
    tracks = list(tracks)
    plain = Counter(_utterance(track) for track in tracks)
    by_id: dict[str, Track] = {}
    for track in tracks:
        utterance = _utterance(track)
        if plain[utterance] > 1:  # names that differ only in what an id cannot hold
            utterance += f"_{zlib.crc32(os.fsencode(track.path)):08x}"
        if utterance in by_id:
            raise DataError(f"{track.path}: the corpus lists this track twice: take one out")
        by_id[utterance] = track
    data = DataDir(
        path=Path(path),
        wav_scp={utterance: rxfilename(track.path) for utterance, track in by_id.items()},
        utt2spk={
            utterance: utterance if track.artist is None else slug(track.artist) for utterance, track in by_id.items()
        },
        utt2genre={utterance: track.genre for utterance, track in by_id.items()},
        genre_order=sorted(genres),
    )
    data.write()
    return data


def slug(text: str) -> str:
    """`text` in [a-z0-9_]: accents go, all else that is no letter or digit becomes "_".

    Letters that have no ASCII form stand as a checksum, so that names in other scripts stay apart.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    lost = [c for c in unicodedata.normalize("NFKD", text) if c.isalnum() and not c.isascii()]
    words = re.findall("[a-z0-9]+", ascii_text.lower())
    if lost or not words:
        words.append(f"{zlib.crc32(text.encode('utf-8', 'surrogateescape')):08x}")
    return "_".join(words)


def _utterance(track: Track) -> str:
    return slug(track.name) if track.artist is None else f"{slug(track.artist)}-{slug(track.name)}"


def rxfilename(path: Path) -> str:
    """The extended file name of an ordinary file. Raises DataError where it would read as a command or an offset."""
    # A line of wav.scp ends with its path, so spaces and quotes are safe in it, and no shell ever sees them.
    name = os.path.abspath(path)
    if not name.isprintable() or re.search(r"(\||:\d+|\s)$", name):
        raise DataError(f"{name!r}: Kaldi would not take this for the path of a file: rename it")
    return name
