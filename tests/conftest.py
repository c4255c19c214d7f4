"""What tests share: a directory to be in, ways to run a command line or Python, and small data."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.tables")

# Before numpy and torch are there. Threads that wait for one another on busy cores take three times as long.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("untimed", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("untimed")


SHARED = {
    "built",
    "whole_run",
}  # fixtures of a module that take a minute: one worker makes them, and has all their tests
STARTERS = {"shell", "python", *SHARED}  # fixtures that start processes


def pytest_collection_modifyitems(items):
    for item in items:
        if not STARTERS.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.system)
        for name in SHARED.intersection(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape what is not UTF-8 in logs, the name of a file perhaps: xdist could not send it."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def commands_built_once():
    """A program builds its commands once, in 30 ms; so does a worker, which runs hundreds of command lines."""
    import typer.main
    import typer.testing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        patch.setattr(typer.testing, "_get_command", typer.main.get_command)
        yield


@pytest.fixture
def here(tmp_path, monkeypatch):
    """tmp_path, and the directory that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def environment():
    """The environment of processes that a test starts: lstmgenre on the PATH."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


@pytest.fixture
def shell(tmp_path, environment):
    """Run a bash line in tmp_path, with lstmgenre on the PATH; gives the finished process."""

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -uo pipefail; {line}"],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def python():
    """Run a program in a Python of its own; gives the finished process, its output in bytes."""

    def run(code: str, *arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        return subprocess.run(command, capture_output=True, timeout=60, **options)

    return run


@pytest.fixture
def command(capfd, monkeypatch):
    """Run a command line, or its words, as a shell would, main() included, but in this process."""
    from lstmgenre.__main__ import main

    def run(line: str | list[str]) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["lstmgenre", *(shlex.split(line) if isinstance(line, str) else line)])
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(line, status, out, err)

    return run


@pytest.fixture
def data(tmp_path):
    """A data directory of six tones of one to three seconds, of three artists."""
    import numpy as np
    import soundfile

    from lstmgenre.datadir import DataDir

    rng = np.random.default_rng(2)
    for k in range(6):
        time = np.arange(8000 * (1 + k % 3))
        tone = np.sin(time * (0.05 + 0.1 * k)) * 0.3 + rng.normal(size=len(time)) * 0.01
        soundfile.write(tmp_path / f"t{k}.wav", tone, 8000)
    names = [f"a{k % 3}-t{k}" for k in range(6)]
    directory = DataDir(
        tmp_path / "data",
        wav_scp={name: str(tmp_path / f"t{k}.wav") for k, name in enumerate(names)},
        utt2spk={name: name[:2] for name in names},
        utt2genre=dict.fromkeys(names, "tone"),
    )
    directory.write()
    return directory


@pytest.fixture
def feats(here):
    """Four matrices of 4 to 7 rows and 3 columns, in feats.ark and feats.scp of this directory."""
    import numpy as np

    from lstmgenre.tables import TableWriter

    rng = np.random.default_rng(1)
    entries = {f"u{i}": rng.standard_normal((4 + i, 3)).astype(np.float32) for i in range(4)}
    with TableWriter("ark,scp:feats.ark,feats.scp") as table:
        for key, matrix in entries.items():
            table.write(key, matrix)
    return entries


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A directory with data/ and exp/lstm, a network and its SVMs (tests/systems.py)."""
    from tests.systems import train_system

    root = tmp_path_factory.mktemp("trained")
    train_system(root)
    return root


@pytest.fixture
def packed(trained, tmp_path):
    """The bundle of its SVM fseg."""
    from lstmgenre import packing

    packing.pack([trained / "exp/lstm"], "fseg", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def fewer_variants(monkeypatch):
    """Of the systems that cross-validation tries out."""
    from lstmgenre import svm

    monkeypatch.setattr(svm, "CANDIDATE_THRESHOLDS", (0.9, 0.5))
    monkeypatch.setattr(svm, "PENALTIES", (1.0, 10.0, 0.1))
