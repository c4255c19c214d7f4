"""A few thousand damaged files for every parser: refused with an error of ours, or read."""

import tempfile
from pathlib import Path

import pytest

from tests.fuzz.running import MEMORY, Failed, run
from tests.fuzz.targets import TARGETS, Target

pytestmark = pytest.mark.slow  # half a minute in all

INPUTS = 2000


@pytest.fixture(autouse=True)
def _no_commands(monkeypatch):
    monkeypatch.setenv("LSTMGENRE_NO_PIPES", "1")


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_damaged_files_are_refused_with_our_errors_alone(target, folder):
    for golden in target.goldens():
        target.parse(golden, folder)
    run(target, folder, INPUTS, seed=1)


def test_the_fuzzer_sees_what_breaks_a_parser(tmp_path):
    def wrong(error):
        def parse(content, folder):
            if b"\xff" in content:
                raise error

        return Target("wrong", lambda: [b"abc"], parse)

    for error in (ValueError("x"), MemoryError(), RecursionError(), SystemExit(1)):
        with pytest.raises((Failed, SystemExit), match=r"wrong: input \d+: |1"):
            run(wrong(error), tmp_path, 5000, seed=1)


def test_the_fuzzer_limits_memory_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.running.SECONDS", 0.2)

    def hang(content, folder):
        while True:
            pass

    def fill(content, folder):
        bytearray(4 << 30)

    for parse, reason in ((hang, "TooSlow"), (fill, "MemoryError")):
        with pytest.raises(Failed, match=reason):
            run(Target("wrong", lambda: [b"abc"], parse), tmp_path, 1, seed=1)
