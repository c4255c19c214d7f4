"""A table through a function to another table, in one go or in parts side by side."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstmgenre.errors import DataError, ModelError, UsageError
from lstmgenre.files import atomic_output, exclusive, own_directory, state_of
from lstmgenre.parallel import loky
from lstmgenre.parallel.engine import Engine
from lstmgenre.parallel.run import run
from lstmgenre.tables import Kind, TableWriter, file_of, read_script, read_table
from lstmgenre.tables.opening import is_stream
from lstmgenre.tables.specifiers import parse_rspecifier, parse_wspecifier

logger = logging.getLogger(__name__)

_SHARD = re.compile(r"\.?[0-9a-f]{32}\.(?:scp|ark)(?:\.\w+\.tmp)?")

_PART_LINES = 256  # of a part at most: as much as a kill may cost each job
_LEAST_PARTS = 16  # of a table with as many lines

Entries = Iterator[tuple[str, np.ndarray]]
Step = Callable[..., Entries]  # step(entries, **options): entries


@dataclass(frozen=True)
class Part:
    """Lines of an scp, what is to be made of their matrices, and the archive that it goes to."""

    function: Step
    rspecifier: str
    archive: Path
    kind: Kind
    table: str  # the rspecifier of all of it, to tell of errors


def map_table(
    step: Step,
    options: Mapping[str, Any],
    rspecifier: str,
    wspecifier: str,
    kind: Kind = "matrix",
    jobs: int = 1,
    engine: Engine = loky.processes,
    made_with: Iterable[Path | str] = (),
) -> int:
    """Write what step(matrices of a table, **options) yields; returns the number of entries.

    From an archive, or to a stream, it streams. From an scp to a file it goes part by part, in `jobs` at a time: parts
    and logs are kept in ARCHIVE.shards/ until all are done; what the jobs warned of is then said here. After a failure
    or a kill the finished parts stay there, and the same command, with any number of jobs, makes the others, and all
    those again whose lines, options or files (that the lines name, and `made_with`) have changed since, or may have:
    what a command gives. Raises DataError for an empty table, for one whose results are of several widths, and where
    another run is at it; UsageError for several jobs where there is no scp to divide or no file to write.
    """
    writer = TableWriter(wspecifier, kind)
    function = partial(step, **options)
    source, target = parse_rspecifier(rspecifier), Path(parse_wspecifier(wspecifier).archive)
    if not source.script or is_stream(str(target)):
        if jobs > 1:
            raise UsageError(f"{rspecifier} to {wspecifier}: --nj above 1 needs an scp: and a file to write")
        return _write(writer, _alike(_named(function(read_table(rspecifier)), rspecifier), rspecifier))
    lines = [f"{key} {rxfilename}\n" for key, rxfilename in read_script(rspecifier)]
    if not lines:
        raise _nothing(rspecifier)
    common = [step.__qualname__, options, source.head, kind, [_state(file) for file in made_with]]
    with exclusive(own_directory(target.with_name(f"{target.name}.shards"))) as folder:
        parts = []
        try:
            for own in _divided(lines):
                script = folder / f"{_fingerprint(common, own)}.scp"
                with atomic_output(script) as stream:
                    stream.writelines(own)
                archive = script.with_suffix(".ark")
                parts.append(Part(function, f"{source.head}:{script}", archive, kind, rspecifier))
            todo = [part for part in parts if not part.archive.exists()]
            if jobs == 1 and engine is loky.processes:
                make_parts(todo)
            else:
                count = min(jobs, len(todo))
                shares = [todo[k * len(todo) // count : (k + 1) * len(todo) // count] for k in range(count)]
                run(make_parts, shares, jobs, str(folder / f"{target.stem}.JOB.log"), engine)
            made = (entry for part in parts for entry in read_table(f"ark:{part.archive}", kind))
            count = _write(writer, _alike(made, rspecifier))
            _tell_warnings(sorted(folder.glob(f"{glob.escape(target.stem)}.*.log")))
            _remove_parts(folder, target.stem)
        finally:
            for part in parts:
                part.archive.with_suffix(".scp").unlink(missing_ok=True)
            with suppress(OSError):  # there are finished parts in it, or what somebody else keeps there
                folder.rmdir()
    return count


def _divided(lines: list[str]) -> list[list[str]]:
    """Runs of lines, by their number alone, so that another number of jobs finds the same parts."""
    size = min(_PART_LINES, -(-len(lines) // _LEAST_PARTS))
    return [lines[k : k + size] for k in range(0, len(lines), size)]


def make_parts(parts: Sequence[Part]) -> None:
    """Make the archives of parts that are not there; each appears whole."""
    for part in parts:
        if not part.archive.exists():
            made = _named(part.function(read_table(part.rspecifier)), part.table)
            _write(TableWriter(f"ark:{part.archive}", part.kind), made)


def _write(table: TableWriter, entries: Entries) -> int:
    count = 0
    with table:
        for key, value in entries:
            table.write(key, value)
            count += 1
    return count


def _named(entries: Entries, rspecifier: str) -> Entries:
    """The entries; where a model does not fit one of them, the error names the table, too."""
    try:
        yield from entries
    except ModelError as error:
        raise ModelError(f"{rspecifier}: {error}") from error


def _alike(entries: Entries, rspecifier: str) -> Entries:
    """The entries, of which there must be one, and all of one width. Raises DataError."""
    first = None
    for entry in entries:
        key, value = entry
        first = first or entry
        if value.shape[-1] != first[1].shape[-1]:
            raise DataError(
                f"{rspecifier}: {key}: {value.shape[-1]} numbers come of it, {first[1].shape[-1]} of {first[0]}; "
                "do not mix features of two kinds in one table"
            )
        yield entry
    if not first:
        raise _nothing(rspecifier)


def _nothing(rspecifier: str) -> DataError:
    # Of a command upstream that failed, perhaps: an empty archive would pass for its result.
    return DataError(f"{rspecifier}: holds nothing, so nothing is written: check the step before")


def _fingerprint(common: list[Any], lines: list[str]) -> str:
    """Names a part by all that its archive depends on."""
    files = sorted({file_of(line.partition(" ")[2].strip()) for line in lines})
    everything = [*common, lines, [_state(file) for file in files]]
    return hashlib.sha256(json.dumps(everything, default=str).encode()).hexdigest()[:32]


def _state(file: Path | str) -> list[Any]:
    # What a command gives may be something else the next time: what was made of it is made again.
    return state_of(file) if str(file) else [secrets.token_hex()]


def _tell_warnings(logs: list[Path]) -> None:
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("WARNING ("):
                logger.warning("%s", line.partition(") ")[2])


def _remove_parts(folder: Path, name: str) -> None:
    """Remove lists, archives and logs of parts, of this run and earlier ones, and what a killed writer has left."""
    for path in folder.iterdir():
        if _SHARD.fullmatch(path.name) or re.fullmatch(rf"{re.escape(name)}\.\d+\.log", path.name):
            path.unlink(missing_ok=True)
