"""The package as a stranger gets it: what an sdist and a wheel hold, an installed wheel, and the recipe laid out."""

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from lstmgenre.cli import app
from lstmgenre.errors import DataError, UsageError
from lstmgenre.shipped import lay_out, page, pages

ROOT = Path(__file__).parents[1]
TOOLS = [
    "awk",
    "bash",
    "basename",
    "cat",
    "dirname",
    "env",
    "grep",
    "ls",
    "mkdir",
    "mv",
    "nproc",
    "sed",
    "seq",
    "sort",
    "xargs",
]
TINY = """
[train-lstm]
learn-rate = 0.01
max-iters = 2
batch-size = 20
scheduler = "decay"
"""


def tracked(directory):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", directory], capture_output=True, text=True, check=True)
    return {Path(line) for line in listed.stdout.splitlines()}


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what belongs here is what git tracks")


@needs_git
def test_a_recipe_is_laid_out_as_it_is_in_a_clone(tmp_path):
    done = CliRunner().invoke(app, ["recipe", "ismir2004", str(tmp_path / "a" / "b")])
    assert done.exit_code == 0, done.output
    recipe = Path("recipes/ismir2004")
    laid_out = {path.relative_to(tmp_path / "a" / "b") for path in (tmp_path / "a" / "b").rglob("*") if path.is_file()}
    assert laid_out == {path.relative_to(recipe) for path in tracked(recipe)}
    for path in laid_out:
        copy, original = tmp_path / "a" / "b" / path, ROOT / recipe / path
        assert copy.read_bytes() == original.read_bytes()
        assert copy.stat().st_mode & stat.S_IXUSR == original.stat().st_mode & stat.S_IXUSR
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_recipe_overwrites_nothing(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for here in ".", tmp_path / "empty":
        with pytest.raises(DataError, match="is the directory you are in"):
            lay_out("ismir2004", Path(here))
    monkeypatch.chdir(tmp_path)
    lay_out("ismir2004", tmp_path / "empty")
    (tmp_path / "empty" / "conf" / "paper.toml").write_text("# mine")
    (tmp_path / "file").touch()
    for taken in "empty", "file":
        with pytest.raises(DataError, match="is there already"):
            lay_out("ismir2004", tmp_path / taken)
    assert (tmp_path / "empty" / "conf" / "paper.toml").read_text() == "# mine"
    with pytest.raises(DataError, match="cannot be written"):
        lay_out("ismir2004", tmp_path / "file" / "below")
    with pytest.raises(UsageError, match="no such recipe: there is ismir2004"):
        lay_out("../recipes/ismir2004", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_the_files_of_a_recipe_that_help_names_are_there(tmp_path):
    lay_out("ismir2004", tmp_path / "ismir2004")
    source = "".join(path.read_text() for path in (ROOT / "lstmgenre" / "cli").glob("*.py"))
    named = set(re.findall(r"[\w./]*\b(?:conf|local)/\w+\.\w+|[\w./]+/run\.sh", source))
    assert {"ismir2004/conf/paper.toml", "ismir2004/run.sh"} <= named
    assert [name for name in named if not (tmp_path / name).exists()] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist and the wheel that `make dist` makes."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    with open(ROOT / "pyproject.toml") as tree:
        fcntl.flock(tree, fcntl.LOCK_EX)  # setuptools builds in the tree: two at once remove one another's files
        done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@needs_git
def test_the_sdist_holds_what_is_tracked(built):
    with tarfile.open(built[0]) as archive:
        held = {Path(*Path(name).parts[1:]) for name in archive.getnames()}
    ours = {path for path in tracked(".") if not (ROOT / path).is_symlink() and path.parts[0][0] != "."}
    assert ours <= held


@needs_git
def test_the_wheel_holds_modules_kernel_and_recipes_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as archive:
        held = {Path(name) for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        about = archive.read(metadata).decode()
        licence = next(name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
        assert "Apache License" in archive.read(licence).decode()
    ours = {path for path in tracked("lstmgenre") if path.suffix == ".py"} | {Path("lstmgenre/py.typed")}
    shipped = {"lstmgenre" / path for directory in ("recipes", "docs") for path in tracked(directory)}
    kernel = {path for path in held if path.name.startswith("_kernel")}
    assert held - kernel == ours | shipped
    assert {path.name for path in kernel} <= {"_kernel.abi3.so"}
    assert not kernel or "-cp311-abi3-" in built[1].name
    assert "License-Expression: Apache-2.0\n" in about


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment with the wheel, without compiler and git: the directory of its programs, which is all of its PATH.

    What the package depends on is lent by the environment of the tests.
    """
    home = tmp_path_factory.mktemp("installed")
    python = home / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", built[1]],
        check=True,
    )
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    # A line of a .pth file brings in that directory's packages, but not what its own .pth files name: a clone.
    Path(where.stdout.strip(), "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for tool in TOOLS:
        if found := shutil.which(tool):
            (home / "bin" / tool).symlink_to(found)
    return home / "bin"


@pytest.fixture
def stranger(installed, tmp_path):
    """Run a bash line in tmp_path as someone does who has nothing but the installed wheel."""

    def run(line):
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail; {line}"],
            cwd=tmp_path,
            env={
                "PATH": str(installed),
                "HOME": str(tmp_path),
                "OMP_NUM_THREADS": "1",
                "LC_ALL": os.environ.get("LANG", "C"),
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_an_installed_wheel_is_what_runs_and_has_the_kernel(stranger, built, installed):
    said = stranger(
        "! command -v cc gcc clang git; lstmgenre --version; python -c '"
        "import lstmgenre.scattering.kernel as kernel; print(kernel.__file__, kernel.compiled() is not None)'"
    ).stdout.split()
    assert said[:2] == ["lstmgenre", built[1].name.split("-")[1]]
    assert Path(said[2]).is_relative_to(installed.parent)
    with zipfile.ZipFile(built[1]) as archive:
        assert said[3] == str(any("_kernel.abi3" in name for name in archive.namelist()))


@pytest.mark.slow
def test_a_stranger_gets_from_a_folder_of_music_to_a_genre(stranger, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    t = np.arange(2 * 22050) / 22050
    for genre, pitch in ("low", 110), ("high", 3520):
        (tmp_path / "music" / genre).mkdir(parents=True)
        for track in range(4):
            tone = 0.3 * np.sin(2 * np.pi * pitch * (1 + track / 50) * t)
            soundfile.write(tmp_path / "music" / genre / f"{track}.wav", tone, 22050)
    done = stranger("""
      lstmgenre recipe ismir2004 ismir2004
      ismir2004/run.sh --help
      lstmgenre docs kaldi
      . ismir2004/path.sh
      lstmgenre prep-data folders music data
      lstmgenre extract-scat data/train --config ismir2004/conf/paper.toml
      lstmgenre train-lstm data/train exp --config tiny.toml --hidden 4 --cell-dim 6 --cv-dir data/train
      lstmgenre forward exp scp:data/train/feats.scp ark:- |
        lstmgenre pool-segments ark:- ark:fseg.ark --fuse scp:data/train/feats.scp
      lstmgenre train-svm data/train ark:fseg.ark exp/fseg
      lstmgenre bundle exp bundle
      lstmgenre predict bundle music/*/*.wav
    """)
    decided = re.findall(r"^music/(\w+)/\d\.wav: (\w+) \(", done.stdout, re.MULTILINE)
    assert decided == [("high", "high")] * 4 + [("low", "low")] * 4
    assert "ismir2004/run.sh --corpus" in done.stdout
    assert (ROOT / "docs/kaldi.md").read_text() in done.stdout


def test_pages_are_listed_with_their_titles_and_printed():
    listed = CliRunner().invoke(app, ["docs"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    assert "kaldi        For people who know Kaldi" in listed
    for name in pages():
        assert CliRunner().invoke(app, ["docs", name]).stdout == (ROOT / "docs" / f"{name}.md").read_text()
    with pytest.raises(UsageError, match=r"\.\./README: no such page: there are cli, kaldi"):
        page("../README")
