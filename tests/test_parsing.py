"""The command line itself: Kaldi's way of writing options, help in the order of the pipeline, completion."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lstmgenre.cli import app
from lstmgenre.cli.parsing import PIPELINE

TRUE, FALSE = ("true", "t", "1", "True", ""), ("false", "f", "0", "FALSE")


def leaves(command, path=()):
    """Every command of the app with its path of names, those of groups too."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))
    yield path, command


ROOT = typer.main.get_command(app)
SWITCHES = [
    (path, command, param)
    for path, command in leaves(ROOT)
    for param in command.params
    if getattr(param, "is_bool_flag", False) and param.expose_value and not param.is_eager  # those end the program
]


def parsed(command, arguments):
    return command.make_context("x", list(arguments), resilient_parsing=True).params


@pytest.mark.parametrize(("path", "command", "switch"), SWITCHES, ids=lambda value: getattr(value, "name", None))
def test_every_switch_takes_kaldi_s_true_and_false(path, command, switch):
    on = switch.opts[0]
    off = switch.secondary_opts[:1]
    for text in TRUE:
        assert parsed(command, [f"{on}={text}"])[switch.name] is True
        assert all(parsed(command, [f"{name}={text}"])[switch.name] is False for name in off)
    for text in FALSE:
        assert parsed(command, [f"{on}={text}"])[switch.name] is False
        assert all(parsed(command, [f"{name}={text}"])[switch.name] is True for name in off)
    assert parsed(command, [on.replace("-", "_").replace("__", "--", 1)])[switch.name] is True
    assert parsed(command, [f"{on}=true", f"{on}=false"])[switch.name] is False
    assert parsed(command, [on, f"{on}=false"])[switch.name] is False
    assert parsed(command, [f"{on}=false", on])[switch.name] is True
    assert parsed(command, ["--", f"{on}=false"])[switch.name] is parsed(command, [])[switch.name]


def test_there_are_switches_of_both_kinds():
    assert {bool(switch.secondary_opts) for _, _, switch in SWITCHES} == {True, False}
    assert {"no_pipes", "no_softmax", "binary"} <= {switch.name for _, _, switch in SWITCHES}


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("forward a ark:b ark:c --apply-log=maybe", "--apply-log=maybe: give true or false"),
        ("forward a ark:b ark:c --print-args=x", "--print-args=x: give true or false"),
        ("forward a ark:b ark:c --verbose=much", "--verbose=much: give a whole number"),
        ("--no-pipes=2 forward a ark:b ark:c", "--no-pipes=2: give true or false"),
        ("forward a ark:b ark:c --no-such-thing=true", "No such option"),
    ],
)
def test_what_is_neither_true_nor_false_is_a_usage_error(run, line, said):
    done = run(*line.split())
    assert done.exit_code == 2
    assert said in done.output


def test_an_option_off_by_hand_wins_over_the_config(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("[forward]\nno-softmax = true\napply_log = true\n")
    line = ["forward", "m", "ark:/dev/null", "ark:x", "--config", tmp_path / "c.toml"]
    assert "leaves no probabilities" in run(*line).output
    assert "leaves no probabilities" not in run(*line, "--no-softmax=false").output


def test_every_command_takes_the_options_that_kaldi_s_programs_share(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lstmgenre", "a command", "--print-args"])
    logger = logging.getLogger("lstmgenre")
    said = []
    monkeypatch.setattr(logging.getLogger("lstmgenre.cli.parsing"), "info", lambda *words: said.append(words[1]))
    for path, command in leaves(ROOT):
        if hasattr(command, "commands"):
            continue
        for arguments, level in (
            (("--verbose=2", "--print-args"), "DEBUG"),
            (("--verbose=0", "--print-args=false"), "INFO"),
        ):
            logger.setLevel("WARNING")
            with pytest.raises(typer.Exit):
                command.make_context(path[-1], [*arguments, "--help"])
            assert logging.getLevelName(logger.level) == level
    assert set(said) == {"lstmgenre 'a command' --print-args"}


def test_help_has_every_command_in_the_order_of_the_pipeline(run):
    shown = run("--help").output
    named = [line.split()[0] for line in shown.partition("Begin:")[2].splitlines() if line.startswith("  ")]
    assert named == [name for names in PIPELINE.values() for name in names]
    assert set(named) == {path[0] for path, _ in leaves(ROOT) if path}
    assert [line[:-1] for line in shown.splitlines() if line[:1].isupper() and line.endswith(":")][1:] == list(PIPELINE)


def test_lstmgenre_alone_says_what_to_do_first(run):
    done = run()
    assert done.exit_code == 2
    commands = [line.split()[1] for line in done.output.splitlines() if line.startswith("  lstmgenre ")]
    assert set(commands) <= set(ROOT.commands)
    assert {"learn", "predict", "recipe"} <= set(commands)
    assert "lstmgenre --help" in done.output


@pytest.mark.system
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("lstmgenre tr", "train-dnn train-lstm train-svm"), ("lstmgenre forward --appl", "--apply-log")],
)
def test_a_shell_completes_commands_and_options(typed, offered):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_LSTMGENRE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [Path(sys.executable).parent / "lstmgenre"], env=os.environ | words, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offered.split()


def test_an_example_is_a_line_of_its_own_whatever_the_width(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    for path, command in leaves(ROOT):
        if not hasattr(command, "commands"):
            example = next(line for line in command.callback.__doc__.splitlines() if "Example: " in line)
            assert f"  Example: {example.partition('Example: ')[2]}\n" in run(*path, "--help").output
