"""The recipes that come with the package, laid out for someone who has no clone.

They are the directory recipes/ of the project; lstmgenre/recipes is a link to it, and an installed package has a copy.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from lstmgenre.errors import DataError, UsageError
from lstmgenre.files import atomic_directory

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
    with atomic_directory(directory, taken="is there already: name a new directory for the recipe") as new:
        try:
            shutil.copytree(_root() / name, new, ignore=shutil.ignore_patterns(*_OF_RUNS), dirs_exist_ok=True)
        except shutil.Error as error:  # of every file in the recipe: (from, to, why)
            raise DataError(f"{directory}: cannot be written: {error.args[0][0][2]}") from error


def _root() -> Path:
    return Path(str(resources.files("lstmgenre"))) / "recipes"
