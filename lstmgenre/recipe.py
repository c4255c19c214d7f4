"""The recipes that come with the package, laid out for someone who has no clone.

They are the directory recipes/ of the project; lstmgenre/recipes is a link to it, and an installed package has a copy.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from lstmgenre.errors import DataError, UsageError

_OF_RUNS = "data", "exp"  # what run.sh makes beside itself


def names() -> list[str]:
    """The recipes that there are."""
    return sorted(path.name for path in _root().iterdir() if (path / "run.sh").is_file())


def lay_out(name: str, directory: Path) -> None:
    """Copy a recipe to `directory`, whole or not at all. Its run.sh starts it.

    Raises UsageError for a name that is no recipe's, and DataError where `directory` holds something already or cannot
    be written.
    """
    if name not in names():
        raise UsageError(f"{name}: no such recipe: there is {', '.join(names())}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=directory.parent, prefix=f".{directory.name}.", suffix=".tmp"
        ) as temporary:
            copy = Path(temporary, name)
            shutil.copytree(_root() / name, copy, ignore=shutil.ignore_patterns(*_OF_RUNS))
            os.rename(copy, directory)  # over nothing, or an empty directory
    except (OSError, shutil.Error) as error:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise DataError(f"{directory}: is there already: name a new directory for the recipe") from error
        raise DataError(f"{directory}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _root() -> Path:
    return Path(str(resources.files("lstmgenre"))) / "recipes"
