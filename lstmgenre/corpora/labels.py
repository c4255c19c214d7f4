"""Artists and genres, out of tags, folders and the lists that people write."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lstmgenre.documents import LARGEST
from lstmgenre.errors import FormatError
from lstmgenre.files import read_all
from lstmgenre.tables import open_input

logger = logging.getLogger(__name__)

_NOBODY = frozenset(
    {"", "various artists", "various artist", "various", "va", "v a", "compilation", "compilations", "soundtrack"}
    | {"unknown artist", "unknown", "no artist", "artist", "none", "n a"}
)
"""What stands for the artist of a compilation or of a file that nobody has tagged, as _key has it."""

_GUESTS = re.compile(r"\s+[(\[]?(feat\.?|ft\.?|featuring)\s.*", re.IGNORECASE | re.DOTALL)


def artist_in(tags: Mapping[str, str]) -> str | None:
    """The artist of the album, or else, as on a compilation, of the track, without guests; None if not known."""
    names = (main_artist(tags.get(key, "")) for key in ("album_artist", "artist"))
    return next((name for name in names if name), None)


def main_artist(name: str) -> str | None:
    """The one whose voice or band it is: no guests, the first of several. None for "Various Artists" and the like."""
    name = _GUESTS.sub("", name.split(";")[0]).strip()
    return None if _key(name) in _NOBODY else name


def genre_in(tags: Mapping[str, str]) -> str | None:
    """The genre tag, the first where there are several; None where there is none."""
    return tags.get("genre", "").split(";")[0].strip() or None


def genre_word(genre: str) -> str:
    """A genre as utt2genre has it: one word, that can be part of a file name."""
    printable = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", genre))
    return re.sub(r"[\s/\\]+", "_", printable.strip()) or "_"


def is_same_genre(one: str, other: str) -> bool:
    """Whether two names of genres differ in case, hyphens and spaces or the form of Unicode at most."""
    return _key(one) == _key(other)


def read_genres(path: str | os.PathLike[str] | None) -> dict[str, str]:
    """A CSV whose lines are `spelling,genre`, as {spelling: genre}; an empty genre leaves that spelling out.

    Raises FormatError for a line of another form.
    """
    mapping: dict[str, str] = {}
    for where, row in _rows(path) if path is not None else ():
        if len(row) != 2 or not row[0].strip():
            raise FormatError(f"{where}: {len(row)} columns, want two: SPELLING,GENRE")
        mapping[_key(row[0])] = row[1].strip()
    return mapping


def merge_genres(genres: Sequence[str], mapping: Mapping[str, str], before: Iterable[str] = ()) -> dict[str, str]:
    """The word for each genre as it was spelled ("" to leave it out): `mapping` first; then those that differ in case,
    in hyphens and spaces or in the form of Unicode are one, by the word of `before` or else as most have spelled it."""
    counts = Counter(mapping.get(_key(genre), genre) for genre in genres)
    spellings: dict[str, list[str]] = defaultdict(list)
    for genre in sorted(counts, key=lambda genre: (-counts[genre], genre)):
        spellings[_key(genre)].append(genre)
    words = {_key(word): word for word in before} | {_key(to): genre_word(to) if to else "" for to in mapping.values()}
    for key, alike in spellings.items():
        words.setdefault(key, genre_word(alike[0]))
        if len(alike) > 1:
            logger.info("one genre, %s: %s", words[key], ", ".join(alike))
    return {genre: words[_key(mapping.get(_key(genre), genre))] for genre in genres}


def read_artists(src: Path, path: str | os.PathLike[str] | None) -> dict[str, str]:
    """The artist by `relative_name` of the files in `src` that a CSV with columns path (relative to `src`) and artist
    names; without one src/manifest.csv counts where it is there. Raises FormatError for one without these columns."""
    if path is None:
        path = src / "manifest.csv"
        if not path.is_file():
            return {}
    rows = read_table(path, ("path", "artist"))
    return {relative_name(src / row["path"], src): row["artist"] for _, row in rows if row["path"] and row["artist"]}


def relative_name(path: Path, src: Path) -> str:
    """By which a list's entry and a file are the same, however either writes accents."""
    return unicodedata.normalize("NFC", os.path.relpath(path, src))


def track_name(path: Path, src: Path) -> str:
    """What tells a file from the others of a corpus: where it is in `src`, less its extension."""
    return os.path.splitext(os.path.relpath(path, src))[0]


def read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows below the head of a CSV that has these columns at least, and where each stands."""
    rows = _rows(path)
    where, head = next(rows, (f"{path}:1", []))
    head = [name.strip().lower() for name in head]
    if not set(columns) <= set(head):
        raise FormatError(f"{where}: has no columns {' and '.join(columns)}: name them in its first line")
    for where, row in rows:
        yield where, dict(zip(head, row, strict=False)) | dict.fromkeys(head[len(row) :], "")


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[str, list[str]]]:
    """The rows of a CSV that are not empty, and where each stands. Raises FormatError where it is none."""
    with open_input(os.fspath(path)) as stream:
        text = read_all(stream, LARGEST, str(path)).decode("utf-8-sig", errors="surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            if any(row):
                yield f"{path}:{rows.line_num}", row
    except csv.Error as error:
        raise FormatError(f"{path}:{rows.line_num}: {error}: mend the line") from error


def _key(text: str) -> str:
    """What spellings of one name share: letters and digits, or all of a name that has none."""
    text = unicodedata.normalize("NFKC", text).casefold().strip()
    return " ".join(re.findall(r"[^\W_]+", text)) or text
