"""What a system says about a song, and the files that this is written to.

A song is an object of JSON or a line of CSV, which has the columns::

    file, genre, probability, tag, score_GENRE of every genre, probability_GENRE of every genre

Probabilities are there where the system is calibrated, the tag where it was asked for.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lstmgenre.errors import DataError
from lstmgenre.files import atomic_output, check_writable

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""In the place of a genre that is not certain enough."""

_KINDS = ("score", "probability")  # of columns that there are for every genre


@dataclass(frozen=True)
class Span:
    """A stretch of a song, in seconds, in which one genre is the likeliest in every frame; `posterior` is its mean.

    Where two meet is half-way between the centres of their frames.
    """

    start: float
    end: float
    genre: str
    posterior: float


class Brief(NamedTuple):
    """Of a song, what playlists and comparisons need."""

    file: str
    genre: str
    certainty: float
    tag: str | None


@dataclass(frozen=True)
class Prediction:
    """What a system says about a song; `scores` are those of svm.SegmentSvm, or of scoring.vote_shares, and the genre's
    is the largest. `probabilities` of a calibrated system sum to 1, and are in the order of the scores.
    """

    genre: str
    scores: dict[str, float]
    timeline: list[Span]
    probabilities: dict[str, float] | None = None

    @property
    def certainty(self) -> float:
        """The probability of the genre; of a system that is not calibrated, by how much its score is the largest."""
        if self.probabilities:
            return max(self.probabilities.values())
        first, *others = sorted(self.scores.values(), reverse=True)
        return first - max(others, default=0.0)

    def unless_below(self, probability: float) -> Prediction:
        """The same, of an unknown genre where its probability is less. Raises DataError where there is none."""
        if self.probabilities is None:
            raise DataError("the system has no probabilities: lstmgenre learn calibrates what it makes")
        return self if self.certainty >= probability else replace(self, genre=UNKNOWN)

    def brief(self, file: str, tag: str | None = None) -> Brief:
        return Brief(file, self.genre, self.certainty, tag)

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        if self.probabilities is None:
            del fields["probabilities"]
        return fields


def record(file: str, prediction: Prediction, tag: str | None = None, timeline: bool = False) -> dict[str, Any]:
    """A song as an object of JSON; `tag` is there if it is not None."""
    fields = {"file": file, **prediction.as_dict()}
    if prediction.probabilities:
        fields["probability"] = prediction.certainty
    if tag is not None:
        fields["tag"] = tag
    if not timeline:
        del fields["timeline"]
    return fields


def row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a line of CSV, by its columns; a timeline is left out."""
    cells = {name: fields[name] for name in ("file", "genre", "probability", "tag") if name in fields}
    for kind, values in zip(_KINDS, ("scores", "probabilities"), strict=True):
        cells |= {f"{kind}_{genre}": value for genre, value in fields.get(values, {}).items()}
    return cells


def csv_line(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    # By a terminator of both, either character in a name is quoted.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


class _Line(msgspec.Struct):
    """What Answers need of a line of JSON."""

    file: str
    genre: str
    scores: dict[str, float]
    probabilities: dict[str, float] | None = None
    tag: str | None = None


class Answers:
    """A file of songs, CSV or (`jsonl`) a line of JSON each, that a run adds to; what is in it is known by `briefs`.

    A run may be killed at any time: the next one keeps whole lines only. Raises DataError where the file is of another
    kind or cannot be read or written, or where another run writes to it.
    """

    def __init__(self, path: Path, jsonl: bool) -> None:
        self._path, self._jsonl = path, jsonl
        self._descriptor: int | None = None
        self._columns: list[str] | None = None
        self.briefs: dict[str, Brief] = {}
        if path.exists():
            self._open()
        elif not path.parent.is_dir():
            raise DataError(f"{path.parent}: no such directory: make it, or give another file")
        else:
            check_writable(path.parent)

    def add(self, fields: Mapping[str, Any]) -> None:
        cells = row(fields)
        if self._descriptor is None:
            self._open()
            if fields["file"] in self.briefs:  # another run has come and gone meanwhile
                return
        lines = ""
        if self._columns is None:
            self._columns = list(cells)
            lines = "" if self._jsonl else csv_line(cells)
        if list(cells) != self._columns:
            raise DataError(f"{self._path}: is of another system or other options: give another file")
        lines += json.dumps(fields, ensure_ascii=False) + "\n" if self._jsonl else csv_line(cells.values())
        assert self._descriptor is not None
        content, size = lines.encode(), os.fstat(self._descriptor).st_size
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
        except OSError as error:
            os.ftruncate(self._descriptor, size)  # of a line, a full disk has taken a part
            raise DataError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._note(fields)

    @property
    def genres(self) -> list[str]:
        """Those that the songs in the file have scores of."""
        columns = self._columns or []
        return [name.removeprefix("score_") for name in columns if name.startswith("score_")]

    def check_has(self, column: str, option: str) -> None:
        """Raises DataError where the songs in the file were told without what an option asks about."""
        if self._columns is not None and column not in self._columns:
            self.close()
            raise DataError(f"{self._path}: has no {column} of its songs, which {option} asks about: give another file")

    def warn_if_older(self, bundle: Path) -> None:
        """Warn where there are songs in the file, and a file of the bundle is newer: another model has named them."""
        if not self.briefs:
            return
        with suppress(OSError):  # whoever loads the bundle will tell
            packed = max(entry.stat().st_mtime_ns for entry in os.scandir(bundle))
            if packed > os.stat(self._path).st_mtime_ns:
                logger.warning(
                    "%s: is older than %s: its songs keep the genres that another model gave them; give a new FILE to "
                    "name them anew",
                    self._path,
                    bundle,
                )

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o666)
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise DataError(f"{self._path}: is no regular file: give another")
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()  # also where the file was not there at first: another run may have come and gone
        except BlockingIOError as error:
            self.close()
            raise DataError(f"{self._path}: another run writes here: wait for its end, or stop it") from error
        except OSError as error:
            self.close()
            raise DataError(f"{self._path}: cannot be written: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        assert self._descriptor is not None
        whole = 0
        with open(self._descriptor, "rb", closefd=False) as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    if number == 1:  # nobody else's file must be cut
                        expected = b'{"file": ' if self._jsonl else b"file,genre,"
                        if not (line.startswith(expected) or expected.startswith(line)):
                            raise self._not_ours(number)
                    break
                try:
                    self._take(line)
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as error:
                    raise self._not_ours(number) from error
                whole += len(line)
        if os.fstat(self._descriptor).st_size > whole:
            os.ftruncate(self._descriptor, whole)

    def _not_ours(self, number: int) -> DataError:
        kind = "lines of JSON" if self._jsonl else "a CSV"
        return DataError(f"{self._path}:{number}: not {kind} that predict has written: give another file")

    def _take(self, line: bytes) -> None:
        """A line of the file. Raises one of many errors where it is no song."""
        text = line.decode()
        if self._jsonl:
            fields = json.loads(text)
            msgspec.convert(fields, _Line)
            columns = list(row(fields))
            if self._columns is None:
                self._columns = columns
        else:
            (columns,) = csv.reader([text], strict=True)
            if self._columns is None:
                if columns[:2] != ["file", "genre"]:
                    raise ValueError("no such columns")
                self._columns = columns
                return
            fields = _fields(dict(zip(self._columns, columns, strict=True)))
            columns = self._columns
        if columns != self._columns:
            raise ValueError("other columns")
        self._note(fields)

    def _note(self, fields: Mapping[str, Any]) -> None:
        told = Prediction(fields["genre"], fields["scores"], [], fields.get("probabilities"))
        self.briefs[fields["file"]] = told.brief(fields["file"], fields.get("tag"))


def _fields(cells: Mapping[str, str]) -> dict[str, Any]:
    """A line of CSV as what it was made of."""
    fields: dict[str, Any] = {name: cells[name] for name in ("file", "genre", "tag") if name in cells}
    for kind, values in zip(_KINDS, ("scores", "probabilities"), strict=True):
        numbers = {
            name.removeprefix(f"{kind}_"): float(cell) for name, cell in cells.items() if name.startswith(f"{kind}_")
        }
        if numbers or kind == "score":
            fields[values] = numbers
    return fields


def write_playlists(directory: Path, songs: Iterable[Brief], genres: Iterable[str]) -> None:
    """Write DIRECTORY/GENRE.m3u8 for every genre that songs have, of absolute paths in their order, each whole or not
    at all; of other `genres` a list that is there is emptied. Raises DataError where that fails.
    """
    lists: dict[str, list[str]] = {}
    for song in songs:
        if "\n" in song.file or "\r" in song.file:
            logger.warning("%s: has a name of several lines: left out of the playlists", song.file)
            continue
        lists.setdefault(_file_name(song.genre), []).append(os.path.abspath(song.file))
    for name in map(_file_name, genres):
        if (directory / name).exists():
            lists.setdefault(name, [])
    for name, paths in lists.items():
        with atomic_output(directory / name) as stream:
            stream.write("\n".join(["#EXTM3U", *paths, ""]))


def _file_name(genre: str) -> str:
    """That of a playlist, in which a genre's name leads to no other directory, and to no two genres one file."""
    safe = "".join(c if c.isprintable() and c not in "%/\\" else f"%{ord(c):02X}" for c in genre)
    return f"{'%2E' + safe[1:] if safe.startswith('.') else safe}.m3u8"


def differing(songs: Iterable[Brief], same: Callable[[str, str], bool]) -> list[Brief]:
    """Those whose tag is another genre than the decision, as `same` has it, the most certain first."""
    of = [song for song in songs if song.tag and song.genre != UNKNOWN and not same(song.tag, song.genre)]
    return sorted(of, key=lambda song: -song.certainty)
