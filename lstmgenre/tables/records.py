"""What made an archive: a file beside it, seg.ark.json beside seg.ark.

It names the archive, the command with its options and versions (expdir/runs.py), and for segment vectors says how they
were pooled. The record of an archive NAME that does not end in .ark is NAME.ark.json. A file that has the name of a
record and is none is not overwritten.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from lstmgenre.documents import decode_json, read_json, write_json
from lstmgenre.errors import DataError, LstmGenreError
from lstmgenre.files import read_file

logger = logging.getLogger(__name__)

LARGEST = 1 << 20  # bytes; a command line is no longer


class Record(msgspec.Struct, kw_only=True):
    """What is in every record: the name of the archive."""

    archive: Annotated[str, Meta(pattern=r"^[^/\x00]+$")]


R = TypeVar("R", bound=Record)


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


def read_record(archive: str | os.PathLike[str], schema: type[R], remedy: str) -> R | None:
    """The record of an archive; None where there is none, or it is that of another archive. Raises as read_json."""
    path = record_of(archive)
    if not is_record(path):
        return None
    record = read_json(path, schema, remedy, LARGEST)
    name = os.path.basename(os.path.realpath(archive))
    # Of two archives seg and seg.ark, who was written last has the record. Where one was renamed, it is still its own.
    return None if record.archive != name and (path.parent / record.archive).exists() else record


def is_record(path: Path) -> bool:
    """Whether that file is the record of an archive."""
    try:
        decode_json(read_file(path, LARGEST), Record)
    except LstmGenreError:
        return False
    return True


def remove_record(archive: str | os.PathLike[str]) -> None:
    """Remove the record of an archive that another takes the place of."""
    path = record_of(archive)
    if is_record(path):
        with suppress(OSError):
            path.unlink()
