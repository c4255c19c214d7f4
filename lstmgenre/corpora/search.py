"""The audio files in a folder, by their names; what else lies there is counted."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from lstmgenre.corpora import LeftOut
from lstmgenre.errors import DataError

logger = logging.getLogger(__name__)

# What people keep music in. Of .mp4 and the like an audio track may be decoded, too, but they are films.
EXTENSIONS = frozenset(
    {"3gp", "aac", "ac3", "aif", "aifc", "aiff", "alac", "amr", "ape", "au", "caf", "dff", "dsf", "dts", "eac3", "f4a"}
    | {"flac", "gsm", "m4a", "m4b", "m4r", "mka", "mp1", "mp2", "mp3", "mpc", "mpga", "mpp", "nist", "oga", "ogg"}
    | {"opus", "ra", "rf64", "shn", "snd", "sph", "spx", "tak", "tta", "voc", "w64", "wav", "wave", "wma", "wv"}
)


@dataclass
class Found:
    """Audio files in C order; what has the name of one and cannot be had; of all else how many there are of a kind."""

    files: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def search(src: Path, besides: Path | None = None, quiet: bool = False) -> Found:
    """What is in `src` and the folders in it, but for the folder `besides`; unless `quiet`, what is no audio is logged.

    Links are followed after all else, so that a folder is known by its own place and is read once, however many links
    lead there. What starts with a dot (.DS_Store, the ._ files of resource forks) is hidden, and no audio.

    Raises DataError where there is no such folder.
    """
    if not src.is_dir():
        raise DataError(f"{src}: no such directory: give the one that holds the music")
    src = Path(os.path.abspath(src))
    found = Found()
    seen = {_identity(besides)} if besides is not None and besides.is_dir() else set()
    folders, links = deque([src]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.left_out.append(LeftOut(folder, "folder that cannot be read", str(error.strerror)))
            continue
        for entry in inside:
            _sort(entry, Path(entry.path), found, folders, links)
    found.files.sort(key=os.fsencode)
    if found.ignored and not quiet:
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.ignored.most_common(6))
        more = ", ..." if len(found.ignored) > 6 else ""
        logger.info("%s: no audio by their names, passed over: %d (%s%s)", src, found.ignored.total(), kinds, more)
    return found


def _sort(entry: os.DirEntry[str], path: Path, found: Found, folders: deque[Path], links: deque[Path]) -> None:
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError as error:  # a link to itself
        is_folder, is_file = False, False
        what = str(error.strerror)
    else:
        what = "a link to nothing" if entry.is_symlink() else "a device or a pipe"
    extension = path.suffix[1:].lower()
    if entry.name.startswith("."):
        found.ignored["hidden"] += 1
    elif is_folder:
        (links if entry.is_symlink() else folders).append(path)
    elif extension not in EXTENSIONS:
        found.ignored[f".{extension}" if extension.isalnum() else "without an extension"] += 1
    elif is_file:
        found.files.append(path)
    else:
        found.left_out.append(LeftOut(path, "no file", what))


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
