"""What made an archive: a file beside it, seg.ark.json beside seg.ark.

It names the archive, the command with its options and versions (expdir/runs.py), and of segment vectors how they were
pooled. It is no name of anything else: an archive that is not called .ark has NAME.ark.json, and what is no such record
is not overwritten.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lstmgenre.errors import DataError
from lstmgenre.files import write_json

logger = logging.getLogger(__name__)

_LARGEST = 1 << 20  # bytes; a command line is no longer


def record_of(archive: str | os.PathLike[str]) -> Path:
    """The file of its record, where the archive is and not a link to it."""
    path = Path(os.path.realpath(archive))
    return path.with_name(path.name + (".json" if path.name.endswith(".ark") else ".ark.json"))


def write_record(archive: str | os.PathLike[str], fields: Mapping[str, Any]) -> None:
    """Write the record of an archive that was just written; a warning says why where that cannot be."""
    path = record_of(archive)
    if os.path.lexists(path) and not is_record(path):
        logger.warning("%s: is something else, so it is not recorded there how %s was made", path, archive)
        return
    try:
        write_json(path, {"archive": os.path.basename(os.path.realpath(archive)), **fields})
    except DataError as error:
        logger.warning("it is not recorded how %s was made: %s", archive, error)


def read_record(archive: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record of an archive; None where there is none, or it is that of another archive."""
    path = record_of(archive)
    record = _read(path)
    if record is None:
        return None
    name = os.path.basename(os.path.realpath(archive))
    # Of two archives seg and seg.ark, who was written last has the record. Where one was renamed, it is still its own.
    return None if record["archive"] != name and (path.parent / record["archive"]).exists() else record


def is_record(path: Path) -> bool:
    """Whether that file is the record of an archive."""
    return _read(path) is not None


def remove_record(archive: str | os.PathLike[str]) -> None:
    """Remove the record of an archive that another takes the place of."""
    path = record_of(archive)
    if is_record(path):
        with suppress(OSError):
            path.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    """A record, or None for what is none."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("archive"), str) else None
