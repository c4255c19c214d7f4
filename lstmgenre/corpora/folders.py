"""Any tree of GENRE/.../TRACK audio files: one's own music."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lstmgenre.corpora import LeftOut, Offer, labels
from lstmgenre.corpora.intake import Intake, some
from lstmgenre.corpora.search import search
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.text import counted

logger = logging.getLogger(__name__)


def prepare(
    src: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    artists: str | os.PathLike[str] | None = None,
    genres: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, DataDir]:
    """Write `out`/train and so on from `src`/GENRE/.../TRACK.

    `artists` is a CSV with columns path (relative to `src`) and artist; without it `src`/manifest.csv is used where it
    is there. Of a file that it does not name, the tags say the artist, or else the folders, where they are
    GENRE/ARTIST/ALBUM/TRACK. `genres` is a CSV of lines `folder,genre`. `options` are those of Intake.

    Raises DataError where there are not two genres, FormatError for a CSV without the columns.
    """
    src, out = Path(os.path.abspath(src)), Path(out)
    found = search(src, besides=out)
    listed = labels.read_artists(src, artists)
    offers = []
    for path in found.files:
        folders = path.relative_to(src).parts[:-1]
        if not folders:
            found.left_out.append(LeftOut(path, "outside the genre folders", f"move it to {src}/GENRE"))
            continue
        folder = "/".join(folders) if len(folders) > 1 else ""
        folder_artist = labels.main_artist(folders[1]) if len(folders) > 2 else None
        name = labels.track_name(path, src)
        offers.append(Offer(path, name, folders[0], folder_artist=folder_artist, folder=folder))
    if (count := len({offer.genre for offer in offers})) < 2:
        raise DataError(
            f"{src}: audio in {counted(count, 'folder')}: give music of two genres or more, each in a folder of its own"
        )
    offers = with_artists(offers, src, listed)
    return Intake(spellings=labels.read_genres(genres), **options).take(out, offers, found.left_out)


def with_artists(offers: list[Offer], src: Path, listed: Mapping[str, str]) -> list[Offer]:
    """The files of `src` with the artists that a list names by `labels.relative_name`; tells what it names in vain."""
    names = {offer: labels.relative_name(offer.path, src) for offer in offers}
    if gone := sorted(listed.keys() - names.values()):
        logger.warning("named with an artist, but not there (%d): %s", len(gone), some(gone))
    return [replace(offer, artist=labels.main_artist(listed.get(name, ""))) for offer, name in names.items()]
