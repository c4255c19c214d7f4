"""How text that comes from files is shown, so that it passes for nothing else: another line, a command, markup.

A genre, an artist or the name of a file may hold what ends a line, moves the cursor of a terminal, turns the direction
of writing, or is Markdown.
"""

from __future__ import annotations

import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from lstmgenre.errors import UsageError

_MARKUP = re.compile(
    r"[\\`*|]|<(?=[A-Za-z/!?])"
    r"|[\[\]](?=[(\[:])"  # a link; other brackets stay as they are, for legibility
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, which an underscore within a word is not
    r"|~(?=~)|&(?=#?\w+;)"
)
_BLOCK = re.compile(r"\d{1,9}(?=[.)](?:\s|$))|(?=[#>+=-])")


def visible(text: str) -> str:
    """The text on one line: what has no glyph (controls, ends of lines, bidirectional marks, bytes that are not UTF-8)
    as an escape of Python's: \\n, \\x1b, \\u202e."""
    if text.isprintable():
        return text
    return "".join(c if _has_glyph(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def visible_json(document: str) -> str:
    """The same for a JSON document, with JSON's escapes: its lines stay, and so does what it says."""
    return "".join(c if c == "\n" or _has_glyph(c) else json.dumps(c)[1:-1] for c in document)


def _has_glyph(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # Python takes U+3000 for not printable


class OneLine(logging.Formatter):
    """Formats a log record as one line, whatever the names in its message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))


def distinct_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """What tells paths apart: the last part of each, and more from its end where another path ends alike.

    Raises UsageError for a path that is there twice.
    """
    parts = [Path(os.path.abspath(path)).parts for path in paths]
    if twice := next((path for path, own in zip(paths, parts, strict=True) if parts.count(own) > 1), None):
        raise UsageError(f"{os.fspath(twice)}: given twice: give each once")
    names = []
    for own in parts:
        length = next(n for n in range(1, len(own) + 1) if sum(other[-n:] == own[-n:] for other in parts) == 1)
        names.append(str(Path(*own[-length:])))
    return names


def counted(number: int, noun: str) -> str:
    """`1 track`, `2 tracks`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def markdown(text: str) -> str:
    """Plain text within a line of Markdown, a cell of a table or a heading."""
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def markdown_paragraph(text: str) -> str:
    """Plain text as a paragraph of Markdown, and not as a heading, a list or a quotation."""
    line = markdown(text.strip())
    start = _BLOCK.match(line)
    return f"{start[0]}\\{line[start.end() :]}" if start else line


def markdown_code(lines: Iterable[str]) -> str:
    """Lines as a block of code in Markdown, whatever fences are in them."""
    shown = [visible(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence, *shown, fence])
