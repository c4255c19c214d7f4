"""What an extraction has finished: a journal beside each archive that is being made, a line per utterance.

Without the journal that the command has begun for it a job does nothing: one that waited in a queue may outlive its
command. A job that was killed goes on where its journal ends.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from lstmgenre import files
from lstmgenre.scattering.features import FeatureConfig


@dataclass(frozen=True)
class Source:
    """Where one utterance's samples are: a recording, or its part from `start` to `end` in seconds.

    `state` is files.state_of the recording, or the command that it comes from.
    """

    utterance: str
    rxfilename: str
    start: float | None
    end: float | None
    state: list[Any]


@dataclass(frozen=True)
class Shard:
    """One job's share of a data directory, and the archive it goes to."""

    archive: Path
    sources: tuple[Source, ...]
    config: FeatureConfig
    compress: bool
    of: int  # shards

    @property
    def part(self) -> Path:
        return self.archive.with_suffix(".ark.part")

    @property
    def journal(self) -> Path:
        return self.archive.with_suffix(".journal")

    @property
    def lock(self) -> Path:
        return self.archive.with_suffix(".lock")

    @property
    def listed(self) -> Path:
        """The list that is made of all archives, DATA/feats.scp."""
        return self.archive.parent.parent / "feats.scp"

    @functools.cached_property
    def made_from(self) -> str:
        """Without the states of the recordings: one that was mended must not cost all others."""
        return fingerprint(self.config, self.compress, [replace(source, state=[]) for source in self.sources])


@dataclass(frozen=True)
class Entry:
    """A finished utterance in an archive, as the journal has it: offsets in bytes, duration in seconds; of its
    recording, the state."""

    utterance: str
    offset: int
    end: int
    frames: int
    duration: float
    state: list[Any]


def begin(shard: Shard, entries: list[Entry]) -> None:
    """Write the journal of a shard of which these utterances are finished."""
    with files.atomic_output(shard.journal) as stream:
        for line in ({"made_from": shard.made_from, "shards": shard.of}, *map(vars, entries)):
            stream.write(json.dumps(line) + "\n")


def is_begun(shard: Shard) -> bool:
    return _head(shard.journal).get("made_from") == shard.made_from


def _head(journal: Path) -> dict[str, Any]:
    """The first line of a journal; {} where there is none, or a power cut has left something else."""
    try:
        with open(journal, encoding="utf-8") as stream:
            head = json.loads(stream.readline())
    except (FileNotFoundError, ValueError):
        return {}
    return head if isinstance(head, dict) else {}


def read_journal(shard: Shard) -> list[Entry]:
    """The finished utterances of a shard, up to the first whose recording has changed since.

    None if the journal is of another configuration or other utterances.
    """
    if not is_begun(shard):
        return []
    try:
        lines = shard.journal.read_text(encoding="utf-8").split("\n")[1:-1]  # a kill cuts the end off the last line
        entries = [Entry(**json.loads(line)) for line in lines]
        states = {source.utterance: source.state for source in shard.sources}
        return list(takewhile(lambda entry: entry.state == states[entry.utterance], entries))
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # a power cut may leave anything
        return []


def begun(archives: Path) -> set[int]:
    """How many shards the runs had of which there are journals."""
    counts = (_head(journal).get("shards") for journal in archives.glob("scat.*.journal"))
    return {count for count in counts if isinstance(count, int)}


def count_done(archives: Path) -> int:
    """How many utterances a running extraction has finished, from the journals beside its archives."""
    journals = archives.glob("scat.*.journal")
    return sum(max(0, journal.read_bytes().count(b"\n") - 1) for journal in journals)


def fingerprint(config: FeatureConfig, compress: bool, sources: Sequence[Source]) -> str:
    parts = [config.to_json(), compress, *(list(vars(e).values()) for e in sources)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
