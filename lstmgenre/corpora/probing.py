"""What audio files hold, found out by decoding them to their ends.

DATA/intake.jsonl keeps a line for each file, after one that says how they were split, so that the next run decodes only
what is new or was written again. A run writes its lines to DATA/log/intake.JOB.jsonl as it goes, where one that follows
after a kill finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lstmgenre.corpora.naming import rxfilename
from lstmgenre.documents import LARGEST, Count, Scalar, decode_json
from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import atomic_output, open_own, own_directory, read_file
from lstmgenre.parallel.run import run

MIN_SECONDS = 8192 / 22050  # an analysis window of 370 ms (paper, section 3.1: T = 2^13 samples)

_LOSSES = 2  # of processes at one file

Progress = Callable[[str, int, Callable[[], int]], AbstractContextManager[None]]
"""Shows how far a block has come: is given a description, the total, and a function that counts what is done."""


def no_progress(description: str, total: int, count: Callable[[], int]) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Probed:
    """A file as it was found: `content` is a checksum of its bytes, `warning` what its decoder had to pass over.

    Where it cannot be used, `reason` is the kind of what is wrong and `detail` says more.
    """

    path: str
    size: Count = 0
    time: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = 0  # of the last change, ns
    content: str = ""
    seconds: Annotated[float, Meta(ge=0)] = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    warning: str = ""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Shard:
    """Files for one process, and where it writes what it finds."""

    paths: tuple[str, ...]
    journal: Path


def look_at_name(path: str) -> Probed:
    """What can be told of a file without opening it."""
    try:
        rxfilename(Path(path))
    except DataError:
        return Probed(path, reason="name that cannot stand in wav.scp", detail="rename the file")
    return Probed(path)


def probe(path: str) -> Probed:
    """Look at one file. What is wrong with it is told in what comes back, never raised."""
    found = look_at_name(path)
    if found.reason:
        return found
    try:
        status = os.stat(path)
        found = Probed(path, status.st_size, status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            return replace(found, reason="no file", detail="a folder, a device or a pipe")
        with open(path, "rb") as stream:
            found = replace(found, content=hashlib.file_digest(stream, "sha256").hexdigest())
    except FileNotFoundError:
        return Probed(path, reason="missing", detail="no such file")
    except OSError as error:
        return Probed(path, reason="cannot be read", detail=str(error.strerror))
    if not found.size:
        return replace(found, reason="empty", detail="0 bytes")
    from lstmgenre import audio  # brings in what whoever starts the processes does without

    try:
        heard = audio.probe(path)
    except DataError as error:
        return replace(found, reason="cannot be decoded", detail=str(error).removeprefix(f"{path}: "))
    found = replace(found, seconds=heard.duration, tags=heard.tags, warning=heard.warning or "")
    if heard.duration < MIN_SECONDS:
        return replace(found, reason="too short", detail=f"{heard.duration:.3f} s, a window is {MIN_SECONDS:.3f} s")
    return found


def probe_all(out: Path, paths: Iterable[Path], jobs: int, progress: Progress) -> dict[Path, Probed]:
    """Each file as it is found by `jobs` processes, or was found before where it is still the same."""
    log = own_directory(out / "log")
    before = kept(out)
    for journal in sorted(log.glob("intake.*.jsonl")):  # of runs that were killed
        before.update((found.path, found) for found in _read(journal))
    names = dict.fromkeys(map(os.fspath, paths))
    known = {name: before[name] for name in names if name in before and _is_same(before[name])}
    todo = [name for name in names if name not in known]
    shards = [Shard(tuple(todo[k::jobs]), log / f"intake.{k + 1}.jsonl") for k in range(min(jobs, len(todo)))]
    if shards:
        _write(log / "intake.0.jsonl", *map(asdict, known.values()))  # before the other journals are begun anew
        for shard in shards:
            _write(shard.journal)
        with progress("prep-data", len(todo), lambda: sum(_count(shard.journal) for shard in shards)):
            run(probe_shard, shards, jobs, str(log / "intake.JOB.log"))
        for shard in shards:
            known.update((found.path, found) for found in _read(shard.journal))
    return {Path(name): found for name, found in known.items()}


def probe_shard(shard: Shard) -> None:
    """Write what is found, a line a file; in a process that takes the place of a lost one, only what is not there yet.

    A file at which two processes were lost is taken to be their end, and not opened again.
    """
    done = {found.path for found in _read(shard.journal)}
    begun = Counter(_lines(shard.journal))
    with open_own(shard.journal) as journal:
        for path in shard.paths:
            if path in done:
                continue
            beginning = json.dumps({"begun": path})
            if begun[beginning.encode()] < _LOSSES:
                journal.write(beginning + "\n")
                journal.flush()
                found = probe(path)
            else:
                found = Probed(path, reason="cannot be decoded", detail="the decoder breaks down over it")
            journal.write(json.dumps(asdict(found)) + "\n")
            journal.flush()


def kept(out: Path) -> dict[str, Probed]:
    """What the last run that came to its end knew, by path."""
    return {found.path: found for found in _read(out / "intake.jsonl")}


def kept_head(out: Path) -> dict[str, Scalar] | None:
    """How the last run that came to its end was asked to split; None if that is not known."""
    try:
        return decode_json(next(iter(_lines(out / "intake.jsonl")), b""), dict[str, Scalar])
    except FormatError:
        return None


def keep(out: Path, head: Mapping[str, Any], recordings: Iterable[Probed]) -> None:
    """Make this what the next run knows."""
    _write(out / "intake.jsonl", head, *map(asdict, recordings))
    for journal in (out / "log").glob("intake.*.jsonl"):
        journal.unlink()


def _is_same(found: Probed) -> bool:
    """Whether it need not be looked at again: it was of use, and nobody has written it since."""
    if found.reason:
        return False
    try:
        status = os.stat(found.path)
    except (OSError, ValueError):
        return False
    return (found.size, found.time) == (status.st_size, status.st_mtime_ns)


def _count(journal: Path) -> int:
    """How many files it tells of, without reading what."""
    return sum(line.startswith(b'{"path": ') for line in _lines(journal))


def _write(path: Path, *lines: Mapping[str, Any]) -> None:
    with atomic_output(path) as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def _read(path: Path) -> Sequence[Probed]:
    """The lines that are whole: a kill or a power cut may leave anything, and what is lost is found out again."""
    found = []
    for line in _lines(path):
        with suppress(ValueError, RecursionError):
            # By Python's parser: the name of a file that is not UTF-8 is no JSON to others.
            found.append(msgspec.convert(json.loads(line), Probed))
    return found


def _lines(path: Path) -> list[bytes]:
    """None where there is no file."""
    try:
        return read_file(path, LARGEST).splitlines()
    except DataError:
        return []
