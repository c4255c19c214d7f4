"""The pages of docs/ say what is so: the commands and their options, and files, modules and tests that are there."""

import ast
import re
from pathlib import Path
from pkgutil import resolve_name

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


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "cli.md")


def _spans(text):
    """What stands in back quotes, and the commands of indented and fenced blocks."""
    fences, rest = text.split("\n```")[1::2], "\n".join(text.split("\n```")[::2])
    blocks = [line for line in rest.splitlines() if line.startswith("    ")]
    prose = "\n".join(line for line in rest.splitlines() if not line.startswith("    "))
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    for line in blocks + [line for fence in fences for line in fence.splitlines()]:
        for command in re.split(r" \| | \|$| && ", line):
            yield command.strip().removeprefix("$ ").removeprefix(">").strip()


SPANS = [(page.name, span) for page in PAGES for span in _spans(page.read_text())]
SPANS += [
    ("--help", span) for command in COMMANDS.values() for span in _spans("    " + command.help.split("Example: ")[1])
]


def spans(pattern):
    found = sorted({(page, match) for page, span in SPANS for match in re.findall(pattern, span)})
    assert found
    return found


@pytest.mark.parametrize(("page", "name"), spans(r"^(lstmgenre(?:\.\w+)+)$"))
def test_modules_and_what_is_in_them_are_there(page, name):
    resolve_name(name)


@pytest.mark.parametrize(("page", "test"), spans(r"^(\w+\.py::\w+)$"))
def test_tests_that_are_named_are_there(page, test):
    file, _, function = test.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize(("page", "path"), spans(r"^((?:recipes|tests|lstmgenre|docs|benchmarks)/[\w./]+)$"))
def test_files_that_are_named_are_there(page, path):
    assert (ROOT / path).exists()


LINES = [
    (page, span.removeprefix("lstmgenre "))
    for page, span in SPANS
    if span.startswith("lstmgenre ") or any(span.startswith(f"{name} --") for name in COMMANDS)
]


@pytest.mark.parametrize(("page", "line"), sorted(set(LINES)))
def test_commands_and_options_that_are_named_are_there(page, line):
    words = re.split(r"\s+|=", line)
    if words[0].startswith("--"):  # of lstmgenre itself
        options = {name for param in typer.main.get_command(app).params for name in param.opts}
        assert words[0] in options | {"--help"}
        return
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS or name == "prep-data")
    if name in COMMANDS:
        known = {name for param in COMMANDS[name].params for name in (*param.opts, *param.secondary_opts)}
        known |= {"--verbose", "--print-args"}
        assert {word for word in words if re.match(r"--\w", word)} <= known


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), (page.name, target)


FLOORS = [
    re.findall(r"`(\w+)`", row)
    for row in re.search(r"\| floor \|.*?\n\|---.*?\n(.*?)\n\n", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[
        1
    ].splitlines()
]


def test_the_floors_of_the_house_hold_every_module_and_imports_point_down():
    level = {name: height for height, row in enumerate(reversed(FLOORS)) for name in row}
    package = ROOT / "lstmgenre"
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert level.keys() == there - {"__init__"}
    for path in package.rglob("*.py"):
        name = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and name != "__init__" and (node.module or "").startswith("lstmgenre"):
                below = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                assert all(level[other] <= level[name] for other in below), f"{path}: {node.module}"
