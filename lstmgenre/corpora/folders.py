"""Any tree of genre/track audio files (GTZAN, a genre-sorted FMA, one's own), split into train and test."""

from __future__ import annotations

import csv
import io
import logging
import os
import random
from collections import defaultdict
from pathlib import Path

import soundfile

from lstmgenre.corpora import Track, slug, write_data_dir
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables import open_input

logger = logging.getLogger(__name__)

# A raw file does not say its sample rate; the other three are usual names of formats that libsndfile calls otherwise.
_EXTENSIONS = {name.lower() for name in soundfile.available_formats()} - {"raw"} | {"aif", "oga", "opus"}


def prepare(
    src: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    artists: str | os.PathLike[str] | None = None,
    test_fraction: float = 0.5,
    seed: int = 0,
) -> dict[str, DataDir]:
    """Write `out`/train and `out`/test from `src`/GENRE/.../TRACK.

    `artists` is a CSV with columns path (relative to `src`) and artist; without it `src`/manifest.csv is used where it
    is there. An artist's tracks are all on one side, since a model that knows the artist scores too high; a track
    without an artist is its own. A genre of a single artist is split by track. Each genre's test share is as near to
    `test_fraction` (the paper: half) as that allows; `seed` picks who is in it.

    Raises DataError where there are not two genres, two tracks of each and a way to split them, FormatError for a CSV
    without the columns.
    """
    if not 0 < test_fraction < 1:
        raise DataError(f"test fraction {test_fraction}: want a number between 0 and 1")
    src, out = Path(src), Path(out)
    tracks = _find_tracks(src, _read_artists(src, artists))
    genres = sorted({track.genre for track in tracks})
    if len(genres) < 2:
        raise DataError(f"{src}: audio in {len(genres)} genre folders: want SRC/GENRE/TRACK with two genres or more")
    in_test = _choose_test(tracks, test_fraction, random.Random(seed))
    sides: dict[str, list[Track]] = {"train": [], "test": []}
    for track in tracks:
        sides["test" if track in in_test else "train"].append(track)
    return {name: write_data_dir(out / name, side, genres) for name, side in sides.items()}


def _read_artists(src: Path, path: str | os.PathLike[str] | None) -> dict[Path, str] | None:
    """The artist of each file that the CSV names, as the id that stands in utt2spk; None where there is no CSV."""
    if path is None:
        path = src / "manifest.csv"
        if not path.is_file():
            return None
    with open_input(os.fspath(path)) as stream:
        rows = csv.DictReader(io.StringIO(stream.read().decode("utf-8-sig", errors="replace"), newline=""), strict=True)
    try:
        if not {"path", "artist"} <= set(rows.fieldnames or []):
            raise FormatError(f"{path}:1: has no columns path and artist: name them in its first line")
        return {src / row["path"]: slug(row["artist"]) for row in rows if row["path"] and row["artist"]}
    except csv.Error as error:
        raise FormatError(f"{path}:{rows.line_num}: {error}: mend the line") from error


def _find_tracks(src: Path, artists: dict[Path, str] | None) -> list[Track]:
    if not src.is_dir():
        raise DataError(f"{src}: no such directory: give the one that holds the genre folders")
    tracks, skipped = [], []
    for folder in sorted(path for path in src.iterdir() if path.is_dir() and not path.name.startswith(".")):
        genre = "_".join(folder.name.split())  # one word, as a value of utt2genre is
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.name.startswith(".") or path.suffix[1:].lower() not in _EXTENSIONS:
                skipped.append(path)
            else:
                name = os.fspath(path.relative_to(src).with_suffix(""))
                tracks.append(Track(genre, (artists or {}).get(path), name, path))
    _report(skipped, "left out, not audio by the name")
    if artists is not None:
        _report(sorted(artists.keys() - {track.path for track in tracks}), "named with an artist, but not there")
        _report([track.path for track in tracks if track.artist is None], "without an artist, each counts as its own")
    return tracks


def _report(paths: list[Path], what: str) -> None:
    if paths:
        names = ", ".join(map(str, paths[:5]))
        logger.warning("%s (%d): %s%s", what, len(paths), names, ", ..." * (len(paths) > 5))


def _choose_test(tracks: list[Track], fraction: float, rng: random.Random) -> set[Track]:
    """In each genre, artists in random order join the test where that brings the genre nearer to its share."""
    tracks_of: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        tracks_of[track.genre].append(track)
    groups_of = {genre: _groups(genre, tracks_of[genre]) for genre in tracks_of}
    in_test: dict[str | Path, bool] = {}
    # Genres with the least choice come first: an artist of two genres goes where the first of them puts it.
    for groups in sorted(groups_of.values(), key=len):
        goal = fraction * sum(map(len, groups.values()))
        chosen = sum(len(members) for group, members in groups.items() if in_test.get(group))
        free = [group for group in groups if group not in in_test]
        rng.shuffle(free)
        for group in free:
            size = len(groups[group])
            in_test[group] = abs(chosen + size - goal) < abs(chosen - goal)
            chosen += size * in_test[group]
        smallest = min(free, key=lambda group: len(groups[group]), default=None)
        if smallest is not None and len({in_test[group] for group in groups}) == 1:
            in_test[smallest] = not in_test[smallest]
    for genre, groups in groups_of.items():
        if len({in_test[group] for group in groups}) == 1:
            raise DataError(f"genre {genre}: other genres need all its artists on one side: try another seed")
    return {
        track
        for groups in groups_of.values()
        for group, members in groups.items()
        if in_test[group]
        for track in members
    }


def _groups(genre: str, tracks: list[Track]) -> dict[str | Path, list[Track]]:
    """What stays on one side: the tracks of an artist, or each track where there is but one artist."""
    groups: dict[str | Path, list[Track]] = defaultdict(list)
    for track in tracks:
        groups[track.artist or track.path].append(track)
    if len(groups) > 1:
        return groups
    if len(tracks) < 2:
        raise DataError(f"genre {genre}: has a single track: want one to train on and one to test")
    logger.warning("genre %s: has one artist only: split by track, so its score will flatter", genre)
    return {track.path: [track] for track in tracks}
