"""What was run in a directory: each command has a record, log/NAME.json beside its log, or one beside its archive."""

from __future__ import annotations

import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lstmgenre.documents import Option, read_json, write_json
from lstmgenre.errors import LstmGenreError
from lstmgenre.tables.records import is_record

_LIBRARIES = ("torch", "torchaudio", "numpy", "scipy", "scikit-learn", "soundfile", "av")


class Run(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A command that wrote into a directory; `seconds` is None if it has not ended, or stands beside an archive."""

    name: str = ""
    """train-lstm, prep-data demo; where it is not told, that of the record."""
    command: str
    """With all its arguments."""
    options: dict[str, Option]
    versions: dict[str, str]
    started: str
    seconds: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        for option, kind in (("data_dir", str), ("seed", int)):
            value = self.options.get(option)
            if value is not None and type(value) is not kind:
                raise ValueError(f"options.{option}: {value!r} should be {kind.__name__} or null")

    @classmethod
    def begin(cls, name: str, arguments: Sequence[str], options: Mapping[str, Any]) -> Run:
        """A run that starts now; `arguments` are those of lstmgenre, `options` have what was not given, too."""
        return cls(
            name=name,
            command=shlex.join(["lstmgenre", *arguments]),
            options={option: _plain(value) for option, value in options.items()},
            versions=_versions(),
            started=_time(time.time()),
        )

    @property
    def data_dir(self) -> Path | None:
        data_dir = self.options.get("data_dir")
        return Path(data_dir) if isinstance(data_dir, str) and data_dir else None

    @property
    def seed(self) -> int | None:
        return self.options.get("seed")  # type: ignore[return-value]

    def is_same_as(self, path: Path) -> bool:
        """Whether the record there is of these options, run to the end: then this run found its work done."""
        try:
            before = read_run(path)
        except LstmGenreError:
            return False
        return before.options == self.options and before.seconds is not None and before.seconds >= (self.seconds or 0)

    def write(self, path: Path) -> None:
        write_json(path, self)

    def untimed(self) -> dict[str, Any]:
        """What is the same whenever the command is run."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in fields.items() if name not in ("started", "seconds")}


class _ArchiveRun(Run, kw_only=True, forbid_unknown_fields=False):
    """One that is recorded beside an archive (tables/records.py), with what else is told there."""

    archive: str
    started: str = ""  # the record tells it by its own date


def read_run(path: Path) -> Run:
    """The record log/NAME.json or NAME.ark.json. Raises DataError where there is none, FormatError where it is
    damaged."""
    run: Run = read_json(path, _ArchiveRun if _is_of_archive(path) else Run, "delete it, or run the command again")
    run.name = run.name or path.stem
    run.started = run.started or _time(path.stat().st_mtime)
    return run


def read_runs(directories: Iterable[Path]) -> list[tuple[Path, Run]]:
    """What was run in these directories and those up to four levels below them, each with its directory, in the order
    of time.
    """
    records: set[Path] = set()
    for directory in directories:
        for depth in range(5):
            records.update(directory.glob("*/" * depth + "log/*.json"))
            records.update(filter(is_record, directory.glob("*/" * depth + "*.ark.json")))
    runs = [(path.parent if _is_of_archive(path) else path.parent.parent, read_run(path)) for path in records]
    return sorted(runs, key=lambda item: (item[1].started, item[0], item[1].name))


def _is_of_archive(path: Path) -> bool:
    return path.name.endswith(".ark.json")


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


@cache  # what a process runs does not change, and git takes a while
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
