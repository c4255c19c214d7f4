"""Files that appear whole or not at all, and JSON files that are read or named as damaged."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from lstmgenre.errors import DataError, FormatError, LstmGenreError

T = TypeVar("T")


@contextmanager
def atomic_output(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` and rename it to `path` if the block ends well.

    A reader never sees a part of the file; after an error or a kill the old file, or none, is what is there. Text is
    UTF-8 with "\\n" line ends. Raises DataError where the directory cannot be written.
    """
    target = Path(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise DataError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        os.fchmod(fd, 0o666 & ~_umask())
        with os.fdopen(fd, mode, encoding=encoding, newline=newline) as stream:
            yield stream
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, BrokenPipeError):
            raise DataError(f"{target}: cannot be written: {error.strerror}") from error
        raise


def _umask() -> int:
    # mkstemp makes files private; what a pipeline leaves behind should follow the user's umask like any other file.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_json(path: Path, build: Callable[[Any], T], remedy: str) -> T:
    """What `build` makes of the content of a JSON file.

    Raises DataError where it cannot be read, and FormatError where it is no JSON or `build` fails on it; both tell
    `remedy`.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: {remedy}") from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"{path}: damaged ({type(error).__name__}: {error}): {remedy}") from error
    except LstmGenreError as error:
        raise FormatError(f"{path}: damaged ({error}): {remedy}") from error
