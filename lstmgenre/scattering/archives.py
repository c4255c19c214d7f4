"""The archives of an extraction: where features are, which archives are to be made, and which may go.

First come the archives that a killed run had begun. What they do not plan is divided among new ones, one per job, whose
numbers no other has: what feats.scp names stays there until the next feats.scp is written.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from lstmgenre import files
from lstmgenre.scattering.features import FeatureConfig
from lstmgenre.scattering.journal import Entry, Journal, Shard, Source, archive_of, begin, digest

logger = logging.getLogger(__name__)

_FILE = re.compile(r"scat\.(\d+)\.(ark|ark\.part|journal|lock)")

Places = dict[str, tuple[Path, Entry]]
"""Key -> the archive that holds these features, and where in it."""


def places_in(journals: Iterable[Journal]) -> Places:
    """Where features are; of those that are in two archives, in a whole one, and in the first."""
    places: Places = {}
    for journal in sorted(journals, key=lambda journal: not journal.is_whole):
        for entry in journal.entries:
            places.setdefault(entry.key, (journal.archive, entry))
    return places


def divide(
    archives: Path,
    journals: Sequence[Journal],
    sources: Sequence[Source],
    todo: Mapping[str, Source],
    config: FeatureConfig,
    compress: bool,
    jobs: int,
) -> list[Shard]:
    """The archives that a run which was killed had begun, and new ones for what they do not plan."""
    wanted = {source.key for source in sources}
    rest = dict(todo)
    shards = []
    for journal in journals:
        if not journal.is_whole:
            own = tuple(rest.pop(key) for key in journal.plan if key in rest)
            if own or any(entry.key in wanted for entry in journal.entries):
                shards.append(Shard(journal.archive, own, config, compress, digest(journal.plan)))
    if shards:
        logger.info("%s: going on with the %d archives that were begun", archives, len(shards))
    ordered = [source for source in sources if rest.get(source.key) is source]
    return [*shards, *_new_shards(archives, ordered, config, compress, jobs)]


def _new_shards(
    archives: Path, sources: Sequence[Source], config: FeatureConfig, compress: bool, jobs: int
) -> list[Shard]:
    """Begin archives with numbers that no other has."""
    last = max((int(file[1]) for path in archives.iterdir() if (file := _FILE.fullmatch(path.name))), default=0)
    shards = []
    for k in range(min(jobs, len(sources))):
        own = tuple(sources[k::jobs])
        keys = [source.key for source in own]
        shards.append(Shard(archive_of(archives, last + 1 + k), own, config, compress, digest(keys)))
        begin(shards[-1], keys)
    return shards


def remove_all_but(archives: set[Path], folder: Path) -> None:
    """Remove the archives that nothing names, their journals, and all locks."""
    for path in folder.iterdir():
        if (file := _FILE.fullmatch(path.name)) and (
            file[2] == "lock" or archive_of(folder, int(file[1])) not in archives
        ):
            path.unlink(missing_ok=True)


def copy_named(
    archives: Path, done: Sequence[Source], places: Places, config: FeatureConfig, compress: bool, jobs: int
) -> Places:
    """Copy the features that are named into `jobs` new archives, under the names that the utterances have now."""
    copied: Places = {}
    unique = list({source.key: source for source in reversed(done)}.values())[::-1]
    for shard in _new_shards(archives, unique, config, compress, jobs):
        entries = []
        with files.open_own(shard.part, "wb") as target:
            for source in shard.sources:
                archive, entry = places[source.key]
                with open(archive, "rb") as stream:
                    stream.seek(entry.offset)
                    content = stream.read(entry.end - entry.offset)
                target.write(f"{source.utterance} ".encode())
                offset = target.tell()
                target.write(content)
                entries.append(
                    msgspec.structs.replace(entry, utterance=source.utterance, offset=offset, end=target.tell())
                )
        begin(shard, [source.key for source in shard.sources], entries)
        os.replace(shard.part, shard.archive)
        copied.update({entry.key: (shard.archive, entry) for entry in entries})
    return copied
