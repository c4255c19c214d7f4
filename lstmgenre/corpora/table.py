"""A table that says it all: a CSV with columns path and genre, and artist and split where they are known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lstmgenre.corpora import LeftOut, Offer, labels
from lstmgenre.corpora.intake import Intake
from lstmgenre.datadir import DataDir

SETS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "development", "cv"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What the column split may say, and the data directory that it means."""


def prepare(
    files: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    genres: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, DataDir]:
    """Write `out`/train and so on of the files that the CSV `files` names, relative to its own folder or absolute.

    Where no line has a split, the files are divided as those of `folders`. An artist that is not given is that of the
    tags. `genres` is a CSV of lines `spelling,genre`. `options` are those of Intake.

    Raises DataError where there are not two genres, FormatError for a CSV without the columns.
    """
    root = Path(os.path.abspath(files)).parent
    rows = list(labels.read_table(files, ("path", "genre")))
    is_split = any(row.get("split", "").strip() for _, row in rows)
    offers, left_out = [], []
    for where, row in rows:
        path = Path(os.path.abspath(root / row["path"]))
        split = row.get("split", "").strip()
        if not row["genre"].strip():
            left_out.append(LeftOut(path, "without a genre", where))
        elif is_split and split.lower() not in SETS:
            left_out.append(LeftOut(path, "without a split", f"{where}: {split!r} is none of train, valid and test"))
        else:
            artist = labels.main_artist(row.get("artist", ""))
            name = SETS[split.lower()] if is_split else None
            offers.append(Offer(path, labels.track_name(path, root), row["genre"], artist, name))
    return Intake(spellings=labels.read_genres(genres), **options).take(out, offers, left_out)
