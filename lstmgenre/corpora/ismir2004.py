"""ISMIR 2004 genre corpus (Magnatune), the corpus of the paper.

Its training part is the paper's training set, its development part the paper's test set (table 1), its evaluation part
a third set. The class of a track stands in the CSV (six classes); the folders have eight. The lists come in three
dialects: training has a header with ``file_path``, development one with ``file path``, evaluation has none and a
seventh column. Development is flat and its names are anonymised.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lstmgenre.corpora import LeftOut, Offer
from lstmgenre.corpora.intake import Intake
from lstmgenre.datadir import DataDir
from lstmgenre.documents import LARGEST
from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import read_all
from lstmgenre.tables import open_input

logger = logging.getLogger(__name__)

GENRES = ("classical", "electronic", "jazz_blues", "metal_punk", "rock_pop", "world")
SPLITS = {"train": "training", "test": "development", "evaluation": "evaluation"}

_COLUMNS = ["class", "artist", "album", "track", "track number", "file path"]
_MAX_MISSING = 0.05  # of the files that a list names


def prepare(src: str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, DataDir]:
    """Write `out`/train, `out`/test and, where it is there, `out`/evaluation from the corpus under `src`.

    `src` holds audio/SPLIT and metadata/SPLIT/tracklist.csv as published, or the SPLIT folders themselves. A listed
    path that is spelled otherwise on the disk is repaired; other missing files are reported by name and left out. The
    files are not opened: the corpus is as it was published, and known to be whole.

    Raises DataError where a split is not there or more than 5 % of its files are missing, FormatError for a bad list.
    """
    src = Path(os.path.abspath(src))
    offers: list[Offer] = []
    left_out: list[LeftOut] = []
    for name, folder in SPLITS.items():
        if _is_there(src, folder):
            used, missing = _read_split(src, folder)
            offers += [replace(offer, set=name) for offer in used]
            left_out += [LeftOut(path, "missing", f"listed for {folder}, but not there") for path in missing]
    return Intake(genres=GENRES, check=False).take(out, offers, left_out)


def _is_there(src: Path, folder: str) -> bool:
    if _tracklist(src, folder).is_file():
        return True
    if folder != SPLITS["evaluation"]:  # the paper does without
        raise DataError(f"{src}: no metadata/{folder}/tracklist.csv, no {folder}/tracklist.csv: is this ISMIR 2004?")
    logger.warning("%s: no %s split: going on without it", src, folder)
    return False


def _tracklist(src: Path, folder: str) -> Path:
    published = src / "metadata" / folder / "tracklist.csv"
    return published if published.is_file() else src / folder / "tracklist.csv"


def _read_split(src: Path, folder: str) -> tuple[list[Offer], list[Path]]:
    """The files of a list, and those of them that are not there."""
    tracklist = _tracklist(src, folder)
    audio = src / "audio" / folder
    if not audio.is_dir():
        audio = src / folder
    listed = list(_read_tracklist(tracklist, audio))
    if not listed:
        raise FormatError(f"{tracklist}: lists no tracks: get the file anew")
    missing = {track.path for track in listed if not os.path.isfile(track.path)}
    repaired = _spelled_otherwise(missing, audio, {track.path for track in listed}) if missing else {}
    missing -= repaired.keys()
    if len(missing) > _MAX_MISSING * len(listed):
        raise DataError(
            f"{tracklist}: {len(missing)} of its {len(listed)} files are missing, {min(missing)} for one: "
            "unpack the audio there"
        )
    for path in sorted(missing | repaired.keys()):
        what = f"used {repaired[path]}" if path in repaired else "left out"
        logger.warning("%s: is not there, %s", path, what)
    used = [replace(track, path=repaired.get(track.path, track.path)) for track in listed if track.path not in missing]
    return used, sorted(missing)


def _read_tracklist(path: Path, audio: Path) -> Iterator[Offer]:
    with open_input(os.fspath(path)) as stream:
        # Bytes that are no UTF-8 become U+FFFD, as one already is in the published list.
        text = read_all(stream, LARGEST, str(path)).decode("utf-8-sig", errors="replace")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            if not row or [name.replace("_", " ") for name in row] == _COLUMNS:
                continue
            if len(row) < len(_COLUMNS):
                raise FormatError(f"{path}:{rows.line_num}: {len(row)} columns, want {len(_COLUMNS)} or more")
            genre, artist, album, title, number, name = row[: len(_COLUMNS)]
            if genre not in GENRES:
                raise FormatError(f"{path}:{rows.line_num}: unknown class {genre!r}: want {', '.join(GENRES)}")
            yield Offer(audio / name, f"{album} {number} {title}", genre, artist)
    except csv.Error as error:
        raise FormatError(f"{path}:{rows.line_num}: {error}: get the file anew") from error


def _spelled_otherwise(missing: set[Path], audio: Path, listed: set[Path]) -> dict[Path, Path]:
    """For a missing path the unlisted file that it may stand for, where there is just one."""
    unlisted = {path for path in audio.rglob("*") if path.is_file()} - listed
    repaired = {}
    for path in missing:
        spelling = _spelling(os.path.relpath(path, audio))
        matches = [other for other in unlisted if spelling.fullmatch(os.path.relpath(other, audio))]
        if len(matches) == 1:
            repaired[path] = matches[0]
    return repaired


def _spelling(name: str) -> re.Pattern[str]:
    """A pattern of the file names that a listed `name` may stand for.

    Three of the 2187 published names are not those on the disk, in three ways: U+FFFD stands for any character, a
    punctuation mark for another ("'" for "_"), and a track number has lost its leading zero.
    """

    def spell(character: str) -> str:
        if character == "\N{REPLACEMENT CHARACTER}":
            return "[^/]"
        return character if character.isalnum() or character == "/" else "[^/a-zA-Z0-9]"

    folder, slash, file = name.rpartition("/")
    return re.compile("".join(map(spell, folder + slash)) + "0*" + "".join(map(spell, file)))
