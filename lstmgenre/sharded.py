"""A table through a function to another table, in one go or in shards side by side."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstmgenre import parallel
from lstmgenre.errors import DataError, UsageError
from lstmgenre.files import atomic_output
from lstmgenre.tables import Kind, TableWriter, file_of, numbered_lines, read_table
from lstmgenre.tables.specifiers import parse_rspecifier, parse_wspecifier
from lstmgenre.tables.streams import is_stream

Entries = Iterator[tuple[str, np.ndarray]]
Step = Callable[..., Entries]  # step(entries, **options): entries


@dataclass(frozen=True)
class Shard:
    """Lines of an scp, what is to be made of their matrices, and the archive that it goes to."""

    function: Step
    rspecifier: str
    archive: Path
    kind: Kind


def map_table(
    step: Step,
    options: Mapping[str, Any],
    rspecifier: str,
    wspecifier: str,
    kind: Kind = "matrix",
    jobs: int = 1,
    engine: parallel.Engine = parallel.loky,
    made_with: Iterable[Path | str] = (),
) -> int:
    """Write what step(matrices of a table, **options) yields; returns the number of entries.

    A single job streams. More take a part of the scp each, log to log/ARCHIVE.JOB.log and keep their output in
    ARCHIVE.shards/ until all are done. After a failure or a kill the finished parts stay there, and the same command
    makes the others; all over again those whose lines, options or files (that the lines name, and `made_with`) have
    changed since. Raises DataError for an empty table, and where there is no scp to
    divide or no file to write.
    """
    writer = TableWriter(wspecifier, kind)
    function = partial(step, **options)
    if jobs == 1:
        return _write(writer, _not_empty(function(read_table(rspecifier)), rspecifier))
    source, archive = parse_rspecifier(rspecifier), Path(parse_wspecifier(wspecifier).archive)
    if not source.script or is_stream(str(archive)):
        raise UsageError(f"{rspecifier} to {wspecifier}: --nj above 1 needs an scp: and a file to write")
    lines = [line for _, line in numbered_lines(source.rxfilename)]
    if not lines:
        raise _empty(rspecifier)
    jobs = min(jobs, len(lines))
    read_options = rspecifier.partition(":")[0]
    common = [step.__qualname__, options, read_options, kind, [_state(file) for file in made_with]]
    folder = archive.with_name(f"{archive.name}.shards")
    shards = []
    for k in range(jobs):
        part = lines[k * len(lines) // jobs : (k + 1) * len(lines) // jobs]
        script = folder / f"{_fingerprint(common, part)}.scp"
        with atomic_output(script, "wb") as stream:
            stream.writelines(part)
        shards.append(Shard(function, f"{read_options}:{script}", script.with_suffix(".ark"), kind))
    for old in {*folder.glob("*.ark")} - {shard.archive for shard in shards}:
        old.unlink(missing_ok=True)
    parallel.run(run_shard, shards, jobs, str(archive.parent / "log" / f"{archive.stem}.JOB.log"), engine)
    made = (entry for shard in shards for entry in read_table(f"ark:{shard.archive}", kind))
    count = _write(writer, _not_empty(made, rspecifier))
    shutil.rmtree(folder, ignore_errors=True)
    return count


def run_shard(shard: Shard) -> None:
    """Make the shard's archive, unless it is there already; it appears whole."""
    if not shard.archive.exists():
        _write(TableWriter(f"ark:{shard.archive}", shard.kind), shard.function(read_table(shard.rspecifier)))


def _write(table: TableWriter, entries: Entries) -> int:
    count = 0
    with table:
        for key, value in entries:
            table.write(key, value)
            count += 1
    return count


def _not_empty(entries: Entries, rspecifier: str) -> Entries:
    empty = True
    for entry in entries:
        empty = False
        yield entry
    if empty:
        raise _empty(rspecifier)


def _empty(rspecifier: str) -> DataError:
    # Of a command upstream that failed, perhaps: an empty archive would pass for its result.
    return DataError(f"{rspecifier}: holds nothing, so nothing is written: check the step before")


def _fingerprint(common: list[Any], lines: list[bytes]) -> str:
    """Names a shard by all that its archive depends on; of a command (`cmd |`), that is what stands in the line."""
    names = {file_of(line.partition(b" ")[2].strip().decode("utf-8", "replace")) for line in lines} - {""}
    digest = hashlib.sha256(json.dumps([*common, [_state(name) for name in sorted(names)]], default=str).encode())
    digest.update(b"".join(lines))
    return digest.hexdigest()[:32]


def _state(file: Path | str) -> list[Any]:
    """What tells whether a file was written again; its name alone where it is not there."""
    try:
        status = Path(file).stat()
    except OSError:
        return [str(file)]
    return [str(file), status.st_size, status.st_mtime_ns]
