"""What comes with the package besides its code, for someone who has no clone: recipes to lay out, and pages to read.

They are the directories recipes/ and docs/ of the project; here are links to them, and an installed package has copies.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from lstmgenre.errors import DataError, UsageError
from lstmgenre.files import atomic_directory

_OF_RUNS = "data", "exp"  # what run.sh makes beside itself


def recipes() -> list[str]:
    """The names of the recipes."""
    return sorted(path.name for path in _directory("recipes").iterdir() if (path / "run.sh").is_file())


def lay_out(name: str, directory: Path) -> None:
    """Copy a recipe to `directory`, whole or not at all. Its run.sh starts it.

    Raises UsageError for a name that is no recipe's, and DataError where `directory` holds something already or cannot
    be written.
    """
    if name not in recipes():
        raise UsageError(f"{name}: no such recipe: there is {', '.join(recipes())}")
    with atomic_directory(directory, taken="is there already: name a new directory for the recipe") as new:
        try:
            shutil.copytree(
                _directory("recipes") / name, new, ignore=shutil.ignore_patterns(*_OF_RUNS), dirs_exist_ok=True
            )
        except shutil.Error as error:  # of every file in the recipe: (from, to, why)
            raise DataError(f"{directory}: cannot be written: {error.args[0][0][2]}") from error


def pages() -> dict[str, str]:
    """The names of the pages, and their titles."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_directory("docs").glob("*.md"))}
    return {name: text.partition("\n")[0].lstrip("# ") for name, text in texts.items()}


def page(name: str) -> str:
    """A page, in Markdown. Raises UsageError for a name that is none's."""
    if name not in pages():
        raise UsageError(f"{name}: no such page: there are {', '.join(pages())}")
    return (_directory("docs") / f"{name}.md").read_text(encoding="utf-8")


def _directory(name: str) -> Path:
    return Path(str(resources.files("lstmgenre"))) / name
