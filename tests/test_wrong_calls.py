"""Wrong calls: what each gets is one line that says why, and an exit status; no traceback, and nothing is written."""

import math
import typing

import pytest
import typer

from lstmgenre.cli import app
from lstmgenre.cli.reference import commands
from lstmgenre.expdir import history

USAGE, BAD_DATA = 2, 1
ROOT = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT))


def kind_of(param):
    """int or float, for an option that takes numbers; also in lists, and where it may be left out."""
    annotation = param.type_descriptor.annotation
    return next((kind for kind in (int, float) if kind in (annotation, *typing.get_args(annotation))), None)


NUMBERS = [
    (name, param, kind) for name, command in COMMANDS.items() for param in command.params if (kind := kind_of(param))
]


@pytest.fixture
def error_of(command, monkeypatch):
    """The one line that a call gets on stderr, and nothing on stdout; its exit status is as expected."""
    monkeypatch.setattr("lstmgenre.cli.app", ROOT)  # or Typer would build it anew at each call, which takes longest

    def run(line, status):
        done = command(line)
        assert done.stdout == ""
        assert done.returncode == status, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("lstmgenre: error: ")
        return done.stderr.removeprefix("lstmgenre: error: ").rstrip("\n")

    return run


def test_the_options_that_are_numbers_are_found():
    named = {(name, param.opts[0]) for name, param, _ in NUMBERS}
    assert {("train-lstm", "--hidden"), ("prep-data folders", "--test-fraction"), ("train-svm", "--c")} <= named
    assert {("extract-scat", "--window"), ("pool-segments", "--threshold"), ("forward", "--threads")} <= named
    assert len(named) > 50


@pytest.mark.parametrize(("name", "param", "kind"), NUMBERS, ids=lambda value: getattr(value, "name", None))
def test_every_number_has_a_range_and_no_other_is_taken(name, param, kind, here, error_of):
    low, high = param.min, param.max
    assert low is not None
    assert high is not None
    assert low < high < 2**53
    small, large = (low - 1, high + 1) if kind is int else (math.nextafter(low, -math.inf), math.nextafter(high, 1e99))
    outside = [small, large, -(10**20), 10**20, 2**64, -(2**63), "nan", "inf", "-inf", "1e400", "-1e308"]
    nonsense = ["", " ", "x", "0x10", "1,5", "½", "9" * 5000, "None", "true", "1e", "[1]"]
    words = ["a", "b", "c"][: sum(p.param_type_name == "argument" for p in COMMANDS[name].params)]
    for value in outside + nonsense + ["1.5"] * (kind is int):
        line = error_of([*name.split(), *words, f"{param.opts[0]}={value}"], USAGE)
        assert param.opts[0] in line
        assert len(line) < 400
    for value in (low, high):
        made = COMMANDS[name].make_context("x", [*words, f"{param.opts[0]}={value}"], resilient_parsing=True)
        assert made.params[param.name] == ([value] if param.multiple else value)
    assert not list(here.iterdir())


def test_the_ranges_are_those_of_the_library():
    ranges = {(name, param.name): (param.min, param.max) for name, param, _ in NUMBERS}
    assert ranges["train-lstm", "targets_delay"][1] == ranges["forward", "time_shift"][1] == history._LONGEST_DELAY
