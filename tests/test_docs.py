"""The pages of docs/ say what is so: the commands and their options, and files, modules and tests that are there."""

import re
from pathlib import Path

import pytest
import typer

from lstmgenre.cli import app
from lstmgenre.cli.reference import commands, reference

ROOT = Path(__file__).parents[1]
COMMANDS = dict(commands(typer.main.get_command(app)))


def section(name):
    return (ROOT / "docs/cli.md").read_text().partition(f"\n### {name}\n")[2].partition("\n### ")[0]


def test_the_reference_of_the_commands_is_what_make_docs_makes():
    assert (ROOT / "docs/cli.md").read_text() == reference(), "stale: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_with_all_its_options_and_an_example(name):
    shown = section(name)
    for param in COMMANDS[name].params:
        names = (
            [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [param.metavar.strip("[]")]
        )
        assert all(re.search(rf"{re.escape(word)}(?![\w-])", shown) for word in names)
    assert f"lstmgenre {name}" in shown.partition("For example:")[2]
