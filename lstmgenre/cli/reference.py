"""docs/cli.md, from the commands themselves: `python -m lstmgenre.cli.reference`, or `make docs`."""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer

from lstmgenre.cli import app
from lstmgenre.cli.parsing import EXAMPLE, PIPELINE

INTRODUCTION = """\
# The commands

Made from the commands themselves (`make docs`); `lstmgenre COMMAND --help` says the same.

    lstmgenre [--no-pipes] [--verbose] COMMAND ARGUMENT... [OPTION...]

Results go to standard output, everything else to standard error. The exit status is 0 when all is done, 1 for bad data
or a step that failed, 2 for a wrong call. A table of Kaldi's is named by an rspecifier (`scp:feats.scp`, `ark:-`) or a
wspecifier (`ark,scp:feats.ark,feats.scp`, `ark,t:-`). Every command also takes what Kaldi's programs share:
`--verbose=N`, `--print-args`, switches as `--flag=true` or `--flag=false`, and `_` for `-` in names
([kaldi.md](kaldi.md)). `--no-pipes` refuses every `cmd |` in tables and in wav.scp.

`lstmgenre --install-completion` makes the shell complete commands and options.
"""


def reference() -> str:
    """All of docs/cli.md. Commands that PIPELINE does not name come last."""
    found = dict(commands(typer.main.get_command(app)))
    placed = {name for names in PIPELINE.values() for name in names}
    others = tuple(name for name in found if name.split()[0] not in placed)
    parts = [INTRODUCTION]
    for title, names in {**PIPELINE, "Other": others}.items():
        of_group = [name for first in names for name in found if name == first or name.startswith(f"{first} ")]
        if of_group:
            parts.append(f"## {title}\n")
            parts += [describe(name, found[name]) for name in of_group]
    return "\n".join(parts)


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command, as it is typed after `lstmgenre`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        elif not command.hidden:
            yield f"{path}{name}", command


def describe(name: str, command: Any) -> str:
    """The Markdown of one command."""
    text, _, example = command.help.replace("\b", "").partition(EXAMPLE)
    hints = get_type_hints(inspect.unwrap(command.callback))
    usage, rows = [f"lstmgenre {name}"], []
    for param in command.params:
        if param.param_type_name == "argument":
            shown = param.metavar or param.name.upper()
            if param.nargs == -1 and " " not in shown:  # else the metavar says which there may be
                shown += "..."
            usage.append(shown if param.required else f"[{shown.strip('[]')}]")
            if param.help:
                rows.append((f"`{shown.strip('[]')}`", param.help, ""))
        else:
            rows.append((f"`{_option(param, hints)}`", param.help or "", _default(param)))
    if len(usage) - 1 < len(command.params):
        usage.append("[OPTION...]")
    lines = [f"### {name}", "", text.strip(), "", "```", " ".join(usage), "```", ""]
    if example:
        lines += ["For example:", "", "```", example.strip(), "```", ""]
    if rows:
        lines += ["| | | default |", "|---|---|---|", *map(_row, rows), ""]
    return "\n".join(lines)


def _option(param: Any, hints: Mapping[str, Any]) -> str:
    """Its names and what value they take."""
    names = "/".join([", ".join(param.opts), *param.secondary_opts])
    if param.is_bool_flag:
        return names
    kind = hints[param.name]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    value = {int: "N", float: "X", str: "TEXT"}.get(kind, "FILE")
    if issubclass(kind, enum.Enum):
        value = "|".join(member.value for member in kind)
    limits = ["" if limit is None else f"{limit:g}" for limit in (param.min, param.max)]
    return f"{names} {param.metavar or value}{' ' + '..'.join(limits) if any(limits) else ''}"


def _default(param: Any) -> str:
    if param.default is None or (param.is_bool_flag and not param.secondary_opts):
        return ""
    if param.is_bool_flag:
        return (param.opts if param.default else param.secondary_opts)[0].lstrip("-")
    return " ".join(map(str, param.default)) if isinstance(param.default, list) else str(param.default)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(reference(), end="")
