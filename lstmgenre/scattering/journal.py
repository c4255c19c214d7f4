"""What is in the archives of an extraction: a journal beside each, with a line per finished utterance.

Features are known by their key, a digest of the recording's content, the excerpt and the configuration: what has the
same key has the same features, whatever it is called now. The journals of all archives together say what need not be
computed again.

A journal starts with the plan of its archive: the keys of what it is to hold. A job that was killed goes on where its
journal ends. A job may wait in a queue for longer than its command lives: it does nothing unless the journal is there
that its command has begun.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lstmgenre import files
from lstmgenre.documents import LARGEST, Count, Word, decode_json
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.scattering.features import FeatureConfig

_ARCHIVE = "scat.{}.ark"


@dataclass(frozen=True)
class Source:
    """Where one utterance's samples are: a recording, or its part from `start` to `end` in seconds.

    `state` is the name, size and date of the recording, `content` a digest of its bytes, or the command that it comes
    from; `key` is that of its features.
    """

    utterance: str
    rxfilename: str
    start: float | None
    end: float | None
    state: list[Any]
    content: str
    key: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished utterance in an archive, as its journal has it: offsets in bytes, duration in seconds; of its
    recording, state and content."""

    utterance: Word
    key: str
    offset: Count
    end: Count
    frames: Count
    duration: Annotated[float, Meta(ge=0)]
    state: list[str | int]
    content: str

    def line(self) -> str:
        return json.dumps(msgspec.to_builtins(self)) + "\n"


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a journal: the keys of what the archive is to hold, and a digest of them."""

    plan: str
    keys: list[str]


@dataclass(frozen=True)
class Shard:
    """What one job has still to do or has done already, in order, and the archive it goes to."""

    archive: Path
    sources: tuple[Source, ...]
    config: FeatureConfig
    compress: bool
    plan: str  # a digest of what the archive was begun for

    @property
    def part(self) -> Path:
        return self.archive.with_suffix(".ark.part")

    @property
    def journal(self) -> Path:
        return self.archive.with_suffix(".journal")

    @property
    def lock(self) -> Path:
        return self.archive.with_suffix(".lock")


@dataclass(frozen=True)
class Journal:
    """The journal of an archive, `scat.NUMBER.ark`, that is whole or being made."""

    archive: Path
    plan: Sequence[str]
    entries: list[Entry]

    @classmethod
    def read(cls, path: Path) -> Journal:
        """The finished utterances are those whose bytes are there; none where a power cut has left something else."""
        archive = path.with_suffix(".ark")
        made = archive if archive.exists() else archive.with_suffix(".ark.part")
        size = made.stat().st_size if made.exists() else 0
        try:
            head, *lines = _lines(path)
            plan = decode_json(head, _Head).keys
            entries = [entry for line in lines if (entry := decode_json(line, Entry)).end <= size]
        except LstmGenreError:
            return cls(archive, [], [])
        return cls(archive, plan, entries)

    @property
    def is_whole(self) -> bool:
        return self.archive.exists()

    @property
    def number(self) -> int:
        return int(self.archive.name.split(".")[1])


def read_journals(archives: Path) -> list[Journal]:
    """Those of all archives, in the order of their numbers."""
    journals = [Journal.read(path) for path in archives.glob("scat.*.journal") if path.name.split(".")[1].isdecimal()]
    return sorted(journals, key=lambda journal: journal.number)


def archive_of(archives: Path, number: int) -> Path:
    return archives / _ARCHIVE.format(number)


def begin(shard: Shard, keys: Iterable[str], entries: Iterable[Entry] = ()) -> None:
    """Write the journal of a shard that is to hold these keys, and of which these utterances are finished."""
    head = msgspec.to_builtins(_Head(shard.plan, list(keys)))
    with files.atomic_output(shard.journal) as stream:
        stream.write(json.dumps(head) + "\n")
        stream.writelines(entry.line() for entry in entries)


def is_begun(shard: Shard) -> bool:
    """Whether the journal there is the one that the shard's command has begun, or found."""
    try:
        return decode_json(_lines(shard.journal)[0], _Head).plan == shard.plan
    except LstmGenreError:
        return False


def _lines(journal: Path) -> list[bytes]:
    """One at least, the first; what follows the last end of a line was cut off by a kill. Raises DataError."""
    return files.read_file(journal, LARGEST).split(b"\n")[:-1] or [b""]


def count_done(archives: Path) -> int:
    """How many utterances have their features, from the journals beside the archives."""
    done = 0
    for journal in archives.glob("scat.*.journal"):
        with suppress(DataError):
            done += len(_lines(journal)) - 1
    return done


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
