"""Any tree of audio files that are not sorted by genre: their tags say genre and artist."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstmgenre.corpora import Offer, labels
from lstmgenre.corpora.folders import with_artists
from lstmgenre.corpora.intake import Intake
from lstmgenre.corpora.search import search
from lstmgenre.datadir import DataDir


def prepare(
    src: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    artists: str | os.PathLike[str] | None = None,
    genres: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, DataDir]:
    """Write `out`/train and so on from the audio files anywhere in `src`.

    `artists` is as in `folders.prepare`; after the tags count the folders, where they are ARTIST/ALBUM/TRACK. `genres`
    is a CSV of lines `spelling,genre`; an empty genre leaves the files out. `options` are those of Intake.

    Raises DataError where there are not two genres, FormatError for a CSV of another form.
    """
    src, out = Path(os.path.abspath(src)), Path(out)
    found = search(src, besides=out)
    offers = []
    for path in found.files:
        parts = path.relative_to(src).parts
        folder_artist = labels.main_artist(parts[-3]) if len(parts) > 2 else None
        offers.append(Offer(path, labels.track_name(path, src), folder_artist=folder_artist))
    offers = with_artists(offers, src, labels.read_artists(src, artists))
    return Intake(spellings=labels.read_genres(genres), **options).take(out, offers, found.left_out)
