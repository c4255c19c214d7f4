"""Utterance ids: ASCII, led by the artist, and the same again whatever else joins or leaves the corpus.

The speaker of Kaldi is the artist. A track whose artist is not known is its own speaker, as Kaldi has it where nobody
knows who speaks: an utterance whose speaker has its own name, and no other, is by an unknown artist.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.tables.rules import is_utf8


@dataclass(frozen=True)
class Track:
    """One audio file of a corpus. `name` tells it from the artist's others; `artist` None: not known.

    Where known: `content`, a checksum of its bytes, and the `folder` that keeps it together with others.
    """

    genre: str
    artist: str | None
    name: str
    path: Path
    content: str = ""
    folder: str = ""

    @property
    def speaker(self) -> str | None:
        """The artist as utt2spk has it; None where it is not known."""
        return None if self.artist is None else slug(self.artist)


def write_data_dir(path: str | os.PathLike[str], tracks: Iterable[Track], genres: Iterable[str]) -> DataDir:
    """Write wav.scp, utt2spk, utt2genre and genres (`genres` in C order, the order of a model's outputs) under `path`.

    Raises DataError where a track is there twice, or where Kaldi would not take its path for a path.
    """
    data = data_dir(path, name_utterances(tracks), genres)
    data.write()
    return data


def data_dir(path: str | os.PathLike[str], by_id: Mapping[str, Track], genres: Iterable[str]) -> DataDir:
    """The data directory of named tracks, not yet written."""
    return DataDir(
        path=Path(path),
        wav_scp={utterance: rxfilename(track.path) for utterance, track in by_id.items()},
        utt2spk={utterance: track.speaker or utterance for utterance, track in by_id.items()},
        utt2genre={utterance: track.genre for utterance, track in by_id.items()},
        genre_order=sorted(genres),
    )


def name_utterances(tracks: Iterable[Track], before: Mapping[str, str] | None = None) -> dict[str, Track]:
    """Utterance id -> track. `before` has the ids of the last run by path.

    An id depends on nothing but the names of the track, and starts with the artist: the "-" after it sorts before every
    other character of an id, so that utt2spk sorted by utterance is sorted by artist too, as Kaldi demands. Where names
    differ only in what an id cannot hold, the track that had the plain id keeps it, or else the first by path takes it;
    the others' ids end with a checksum of their paths.

    Raises DataError where a track is there twice.
    """
    alike: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        alike[_plain(track)].append(track)
    by_id: dict[str, Track] = {}
    for plain, group in sorted(alike.items()):
        paths = {os.path.abspath(track.path): track for track in group}
        first = min(paths, key=lambda path: ((before or {}).get(path) != plain, path))
        for path, track in paths.items():
            utterance = plain if path == first else f"{plain}_{zlib.crc32(os.fsencode(path)):08x}"
            if utterance in by_id or len(paths) < len(group):
                raise DataError(f"{track.path}: the corpus lists this track twice: take one out")
            by_id[utterance] = track
    return by_id


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


def _plain(track: Track) -> str:
    return slug(track.name) if track.artist is None else f"{slug(track.artist)}-{slug(track.name)}"


def rxfilename(path: Path) -> str:
    """The extended file name of an ordinary file. Raises DataError where Kaldi would not read it so."""
    # A line of wav.scp ends with its path, so spaces and quotes are safe in it, and no shell ever sees them.
    name = os.path.abspath(path)
    if re.search("[\n\0]", name) or not is_utf8(name) or re.search(r"(\||:\d+|[ \t\r\v\f])$", name):
        raise DataError(f"{name!r}: Kaldi would not take this for the path of a file: rename it")
    return name
