"""What a person sees on a terminal: whole lines above a bar, each warning once, and no bar that stays."""

import io
import logging
import os
import pty
import re
import subprocess
import sys

import pytest

from lstmgenre import console

BAR = """
import logging, time
from lstmgenre import console
console.setup_logging()
logger = logging.getLogger("lstmgenre.test")
with console.progress("learning a folder of music", 3, lambda: 1):
    time.sleep(0.5)
    for _ in range(3):
        logger.warning("song.mp3: ends after 2.00 s, its header says 4.00 s: used what is there")
    time.sleep(0.5)
console.fail("the end")
"""


def screen(output: str) -> list[str]:
    """The lines that stay on a terminal which knows what rich writes: up, erase the line, carriage return."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", output):
        if token == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            column = 0
        elif token.endswith("A"):
            row -= int(token[2:-1] or 1)
        elif token == "\x1b[2K":
            lines[row] = ""
        elif not token.startswith("\x1b"):
            lines[row] = lines[row].ljust(column)[:column] + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines]


@pytest.mark.system
@pytest.mark.parametrize("columns", [80, 40])
def test_lines_stand_above_a_bar_which_goes(columns):
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    child = subprocess.Popen([sys.executable, "-c", BAR], stderr=follower, env=environment)
    os.close(follower)
    output = b""
    try:
        while chunk := os.read(leader, 4096):
            output += chunk
    except OSError:  # a pty whose other end is closed
        pass
    os.close(leader)
    assert child.wait() == 0
    assert b"learning a folder" in output  # the bar was there
    shown = screen(output.decode())
    assert " ".join(" ".join(shown).split()) == (
        "lstmgenre: warning: song.mp3: ends after 2.00 s, its header says 4.00 s: used what is there "
        "lstmgenre: error: the end"
    )


def test_a_log_goes_where_stderr_is_now(monkeypatch):
    console.setup_logging()
    logger = logging.getLogger("lstmgenre.test")
    monkeypatch.setattr(sys, "stderr", now := io.StringIO())
    for _ in range(32):
        logger.warning("genre %s: has one artist only", "solo")
    logger.info("twice")
    logger.info("twice")
    assert now.getvalue() == "lstmgenre: warning: genre solo: has one artist only\n" + "lstmgenre: twice\n" * 2


class Waiting:
    """An event that comes after all of `counts`, half a minute apart by the clock of the console."""

    def __init__(self, monkeypatch, counts):
        self.now, self.counts = 1000.0, [counts[0], *counts]
        monkeypatch.setattr(console.time, "monotonic", lambda: self.now)

    def wait(self, seconds):
        self.now += seconds
        return not self.counts

    def count(self):
        return self.counts.pop(0)


@pytest.mark.parametrize(
    ("total", "counts", "told"),
    [
        (100, [0, 10, 50], ["0 of 100 after 30 s", "10 of 100 after 60 s, about 9 min left"]),
        (100, [40, 50, 70], ["40 of 100 after 30 s", "50 of 100 after 60 s, about 5 min left"]),  # 40 by an earlier run
        (10000, [1, 2, 3], ["1 of 10000 after 30 s", "2 of 10000 after 60 s, about 166 h 38 min left"]),
        (3, [0, 2, 3], ["0 of 3 after 30 s", "2 of 3 after 60 s, about 30 s left"]),
        (None, [0, 2, 3], ["0 after 30 s", "2 after 60 s"]),
    ],
)
def test_a_log_tells_the_time_left(total, counts, told, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "lstmgenre")
    waiting = Waiting(monkeypatch, counts)
    console._log_lines("songs", total, waiting.count, waiting)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:2] == [f"songs: {line}" for line in told]
    done = f"{counts[2]}{f' of {total}' if total else ''} after 90 s"
    assert re.fullmatch(f"songs: {done}{', about .* left' if total and counts[2] < total else ''}", lines[2])
