"""FMA, the dumps of the Free Music Archive (Defferrard, Benzi, Vandergheynst and Bresson, ISMIR 2017).

Audio lies at AUDIO/000/000002.mp3. METADATA/tracks.csv has three header lines: groups of columns, the columns, and the
name of the first, track_id.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lstmgenre.corpora import LeftOut, Offer
from lstmgenre.corpora.intake import Intake
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError

logger = logging.getLogger(__name__)

SUBSETS = ("small", "medium", "large", "full")  # each is part of the next; tracks.csv names the smallest

_SETS = {"training": "train", "validation": "valid", "test": "test"}
_BROKEN = {
    **dict.fromkeys((99134, 108925, 133297), "known to hold no audio"),
    **dict.fromkeys((98565, 98567, 98569), "known to hold a second or less"),
}
"""Clips of the small subset that github.com/mdeff/fma, issue 8, names."""


class _Row(NamedTuple):
    track: int
    subset: str
    split: str
    genre: str
    artist: str


_COLUMNS = (("set", "subset"), ("set", "split"), ("track", "genre_top"), ("artist", "id"))


def prepare(
    audio: str | os.PathLike[str],
    metadata: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    subset: str = "small",
    **options: Any,
) -> dict[str, DataDir]:
    """Write `out`/train, `out`/valid and `out`/test by the published split, with the ids of the artists.

    `metadata` is tracks.csv or the folder where it is. Tracks of several top genres have none in it, and are
    left out. `options` are those of Intake.

    Raises DataError where no file of the subset is there, FormatError for another kind of CSV.
    """
    audio, metadata = Path(os.path.abspath(audio)), Path(metadata)
    path = metadata / "tracks.csv" if metadata.is_dir() else metadata
    wanted = SUBSETS[: SUBSETS.index(subset) + 1]
    offers, left_out = [], []
    for row in _read(path):
        if row.subset not in wanted:
            continue
        clip = audio / f"{row.track // 1000:03}" / f"{row.track:06}.mp3"
        if not row.genre:
            left_out.append(LeftOut(clip, "without a genre", "no genre_top in tracks.csv"))
        elif row.split not in _SETS:
            left_out.append(LeftOut(clip, "without a split", f"{row.split!r} is none of {', '.join(_SETS)}"))
        else:
            note = _BROKEN.get(row.track, "")
            offers.append(Offer(clip, f"{row.track:06}", row.genre, row.artist, _SETS[row.split], note=note))
    if not any(offer.path.is_file() for offer in offers):
        raise DataError(f"{audio}: no clip of the {subset} subset is there: want AUDIO/000/000002.mp3 and so on")
    if broken := [f"{offer.path.name} ({offer.note})" for offer in offers if offer.note]:
        logger.warning("%s: clips that are broken wherever FMA is: %s", audio, ", ".join(broken))
    return Intake(**options).take(out, offers, left_out)


def _read(path: Path) -> Iterator[_Row]:
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
            csv.field_size_limit(2**24)  # lives of artists stand in it
            rows = csv.reader(stream, strict=True)
            head = list(zip(next(rows, []), next(rows, []), strict=False))
            if lost := [".".join(column) for column in _COLUMNS if column not in head]:
                raise FormatError(f"{path}:1: has no column {lost[0]}: is this FMA's tracks.csv?")
            places = [head.index(column) for column in _COLUMNS]
            for row in rows:
                if not row or row[0] == "track_id":
                    continue
                if len(row) != len(head) or not (row[0].isascii() and row[0].isdigit()):
                    raise FormatError(f"{path}:{rows.line_num}: no row of tracks.csv: get the file anew")
                yield _Row(int(row[0]), *(row[place].strip() for place in places))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}: give the folder of tracks.csv") from error
    except csv.Error as error:
        raise FormatError(f"{path}:{rows.line_num}: {error}: get the file anew") from error
