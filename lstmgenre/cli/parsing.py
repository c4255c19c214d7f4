"""What every command line has in common: help in the order of the pipeline, and Kaldi's habits.

An option that is pasted from a line of Kaldi's means the same here: `--apply-log=true` and `--no-softmax=false` for
switches, `--batch_size=9` for --batch-size, and at every command `--verbose=N` and `--print-args`.
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from lstmgenre import console

logger = logging.getLogger(__name__)

_UsageError: Any = typer.BadParameter.__base__  # click's, of the package or of the copy that newer Typers have

PIPELINE = {
    "Begin": ("learn", "recipe", "docs"),
    "Data": ("prep-data", "validate-data", "split-data", "subset-data"),
    "Features": ("extract-scat", "copy-feats", "copy-vector", "feat-to-dim", "feat-to-len"),
    "Networks": ("train-dnn", "train-lstm", "forward", "copy-nnet", "info-nnet"),
    "Segments": ("pool-segments", "select-svm", "train-svm"),
    "Results": ("score", "score-baselines", "report"),
    "Use": ("bundle", "predict"),
}
"""The groups of commands that --help shows, and their order in them."""

_KALDI_BOOLEANS = {"": True, "true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def as_kaldi(name: str) -> str:
    """The name of an option as Kaldi compares it: --batch_size and --Batch-Size are --batch-size."""
    return name.lower().replace("_", "-")


class App(typer.Typer):
    """A Typer app of commands and groups that take what Kaldi's programs take."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("context_settings", {"token_normalize_func": as_kaldi})
        super().__init__(cls=Group, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Any:
        return super().command(name, **{"cls": Command, **settings})


EXAMPLE = "Example: "
_AS_IT_IS = "\n\n\b\n"  # a paragraph that is not filled anew


class Command(TyperCommand):
    """A command whose help ends in an example that can be copied."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help = (self.help or "").replace(EXAMPLE, _AS_IT_IS + EXAMPLE)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        own = [arg for arg in args[:end] if not _is_common(arg, ctx)]
        own, off = _without_values(own, self.params)
        rest = super().parse_args(ctx, own + args[end:])
        ctx.params.update(dict.fromkeys(off, False))
        return rest


class Group(TyperGroup):
    def main(self, *args: Any, **settings: Any) -> Any:
        """Typer's, except that an error in the command line is told in one line, as every other error is."""
        standalone_mode = settings.pop("standalone_mode", True)
        try:
            status = super().main(*args, **settings | {"standalone_mode": False})
        except _UsageError as error:
            if not standalone_mode:
                raise
            hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
            console.fail(f"{error.format_message().rstrip('.')}{hint}")
            sys.exit(error.exit_code)
        if standalone_mode:
            sys.exit(status or 0)
        return status

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = next((at for at, arg in enumerate(args) if not arg.startswith("-")), len(args))
        own, off = _without_values(args[:end], self.params)
        rest = super().parse_args(ctx, own + args[end:])
        ctx.params.update(dict.fromkeys(off, False))
        return rest

    def list_commands(self, ctx: Any) -> list[str]:
        order = [name for names in PIPELINE.values() for name in names]
        return sorted(self.commands, key=lambda name: order.index(name) if name in order else len(order))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One list of commands for each group of the pipeline; another Group's commands are one list."""
        groups: dict[str, list[str]] = {}
        for name in self.list_commands(ctx):
            title = next((title for title, names in PIPELINE.items() if name in names), "Commands")
            groups.setdefault(title, []).append(name)
        width = max(map(len, self.commands))
        for title, names in groups.items():
            with formatter.section(title):
                helps = [self.commands[name].get_short_help_str(formatter.width - 6 - width) for name in names]
                formatter.write_dl([(name.ljust(width), text) for name, text in zip(names, helps, strict=True)])


def _without_values(args: Sequence[str], params: Sequence[Any]) -> tuple[list[str], set[str]]:
    """The arguments with switches as Typer knows them, without `=VALUE`; and those that are off and cannot say so.

    `--flag=true` becomes --flag, and `--flag=false` its opposite; a switch that has no opposite is left out, and its
    name returned. What comes last counts.
    """
    switches = {}
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag:
            switches.update({as_kaldi(name): (param, True) for name in param.opts})
            switches.update({as_kaldi(name): (param, False) for name in param.secondary_opts})
    own, off = [], set()
    for arg in args:
        name, equals, value = arg.partition("=")
        param, on = switches.get(as_kaldi(name), (None, False))
        if param is None:
            own.append(arg)
            continue
        on = on == (_boolean(name, value) if equals else True)
        off.discard(param.name)
        if on or param.secondary_opts:
            own.append((param.opts if on else param.secondary_opts)[0])
        else:
            off.add(param.name)
    return own, off


def _is_common(arg: str, ctx: Any) -> bool:
    """Whether it is one of the options that Kaldi's programs share; what it asks for is done."""
    name, equals, value = arg.partition("=")
    if as_kaldi(name) == "--print-args":
        if not ctx.resilient_parsing and _boolean(name, value):
            logger.info("%s", shlex.join(["lstmgenre", *sys.argv[1:]]))
        return True
    if as_kaldi(name) == "--verbose" and equals:
        try:
            level = int(value)
        except ValueError:
            raise typer.BadParameter(f"{arg}: give a whole number; 0 logs least") from None
        if not ctx.resilient_parsing:
            console.setup_logging(verbose=level > 0)
        return True
    return False


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in _KALDI_BOOLEANS:
        raise typer.BadParameter(f"{name}={value}: give true or false")
    return _KALDI_BOOLEANS[value.lower()]
