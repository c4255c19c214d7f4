"""What was run in a directory: a record a command, log/NAME.json beside the log NAME.log, or beside an archive."""

from __future__ import annotations

import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from lstmgenre.errors import LstmGenreError
from lstmgenre.files import read_json, write_json
from lstmgenre.tables.records import is_record

_LIBRARIES = ("torch", "torchaudio", "numpy", "scipy", "scikit-learn", "soundfile", "av")


@dataclass
class Run:
    """A command that wrote into a directory; `seconds` is None if it has not ended."""

    directory: Path
    name: str  # train-lstm, prep-data demo
    command: str  # with all its arguments
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    started: str = ""
    seconds: float | None = None

    @classmethod
    def begin(cls, directory: Path, name: str, arguments: Sequence[str], options: Mapping[str, Any]) -> Run:
        """A run that starts now; `arguments` are those of lstmgenre, `options` have what was not given, too."""
        plain = {option: _plain(value) for option, value in options.items()}
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return cls(directory, name, shlex.join(["lstmgenre", *arguments]), plain, _versions(), started)

    @property
    def data_dir(self) -> Path | None:
        data_dir = self.options.get("data_dir")
        return Path(data_dir) if data_dir else None

    @property
    def seed(self) -> int | None:
        return self.options.get("seed")

    def is_same_as(self, path: Path) -> bool:
        """Whether the record there is of these options, run to the end: then this run found its work done."""
        try:
            before = read_run(path)
        except LstmGenreError:
            return False
        return before.options == self.options and before.seconds is not None and before.seconds >= (self.seconds or 0)

    def write(self, path: Path) -> None:
        write_json(path, self.fields())

    def fields(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "directory"}


def read_run(path: Path) -> Run:
    """The record log/NAME.json or NAME.ark.json. Raises DataError where there is none, FormatError where it is
    damaged."""
    return read_json(path, partial(_of, path), "delete it, or run the command again")


def read_runs(directories: Iterable[Path]) -> list[Run]:
    """What was run in these directories and those up to four levels below them, in the order of time."""
    records: set[Path] = set()
    for directory in directories:
        for depth in range(5):
            records.update(directory.glob("*/" * depth + "log/*.json"))
            records.update(filter(is_record, directory.glob("*/" * depth + "*.ark.json")))
    return sorted(map(read_run, records), key=lambda run: (run.started, run.directory, run.name))


def _of(path: Path, record: Mapping[str, Any]) -> Run:
    return Run(
        directory=path.parent if path.name.endswith(".ark.json") else path.parent.parent,
        name=record.get("name", path.stem),
        command=record["command"],
        options=dict(record["options"]),
        versions=dict(record["versions"]),
        started=record["started"],
        seconds=record.get("seconds"),
    )


def _versions() -> dict[str, str]:
    """Of this package, with the commit where it runs from a checkout, of Python and of what computes."""
    versions = {"lstmgenre": metadata.version("lstmgenre")}
    root = Path(__file__).parents[2]
    if (root / ".git").exists() and shutil.which("git"):
        git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
        versions["commit"] = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"
    return versions | {"python": platform.python_version()} | {name: metadata.version(name) for name in _LIBRARIES}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
