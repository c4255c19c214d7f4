"""A table through a function to another table, in one go or in shards side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstmgenre import parallel
from lstmgenre.errors import DataError, UsageError
from lstmgenre.files import atomic_output
from lstmgenre.tables import Kind, TableWriter, numbered_lines, read_table
from lstmgenre.tables.specifiers import parse_rspecifier, parse_wspecifier
from lstmgenre.tables.streams import is_stream

Entries = Iterator[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Shard:
    """Lines of an scp, and the archive for what `function` makes of their matrices."""

    function: Callable[[Entries], Entries]
    rspecifier: str
    archive: Path
    kind: Kind


def map_table(
    function: Callable[[Entries], Entries],
    rspecifier: str,
    wspecifier: str,
    kind: Kind = "matrix",
    jobs: int = 1,
    engine: parallel.Engine = parallel.loky,
) -> int:
    """Write what `function` makes of the matrices of a table; returns the number of entries.

    A single job streams. More take a part of the scp each, keep their output in ARCHIVE.shards/ until all are done, and
    log to log/ARCHIVE.JOB.log beside it; where one fails, all are run again the next time. Raises DataError for an
    empty table, and where there is no scp to divide or no file to write.
    """
    entries = function(read_table(rspecifier)) if jobs == 1 else None
    count = 0
    with TableWriter(wspecifier, kind) as writer:
        for key, value in entries or _in_shards(function, rspecifier, wspecifier, kind, jobs, engine):
            writer.write(key, value)
            count += 1
        if not count:  # of a command upstream that failed, perhaps: an empty archive would pass for its result
            raise DataError(f"{rspecifier}: holds nothing, so nothing is written: check the step before")
    return count


def _in_shards(
    function: Callable[[Entries], Entries],
    rspecifier: str,
    wspecifier: str,
    kind: Kind,
    jobs: int,
    engine: parallel.Engine,
) -> Entries:
    source, archive = parse_rspecifier(rspecifier), Path(parse_wspecifier(wspecifier).archive)
    if not source.script or is_stream(str(archive)):
        raise UsageError(f"{rspecifier} to {wspecifier}: --nj above 1 needs an scp: and a file to write")
    lines = [line.decode() for _, line in numbered_lines(source.rxfilename)]
    jobs = min(jobs, len(lines))
    options = rspecifier.partition(":")[0]
    folder = archive.with_name(f"{archive.name}.shards")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    shards = []
    try:
        for k in range(jobs):
            script = folder / f"{k + 1}.scp"
            with atomic_output(script) as stream:
                stream.writelines(lines[k * len(lines) // jobs : (k + 1) * len(lines) // jobs])
            shards.append(Shard(function, f"{options}:{script}", script.with_suffix(".ark"), kind))
        parallel.run(run_shard, shards, jobs, str(archive.parent / "log" / f"{archive.stem}.JOB.log"), engine)
        for shard in shards:
            yield from read_table(f"ark:{shard.archive}", kind)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_shard(shard: Shard) -> None:
    with TableWriter(f"ark:{shard.archive}", shard.kind) as writer:
        for key, value in shard.function(read_table(shard.rspecifier)):
            writer.write(key, value)
