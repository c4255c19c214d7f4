"""Maps, the text files of a key and a value a line: laws, and bad lines by their number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables import read_map, write_map
from tests.tables import keys


@given(st.dictionaries(keys, st.text(st.characters(codec="utf-8"), max_size=9)))
def test_maps_are_sorted_and_read_back(tmp_path_factory, mapping):
    mapping = {key: f"<{value}>".replace("\n", "") for key, value in mapping.items()}
    path = tmp_path_factory.getbasetemp() / "map"
    write_map(path, mapping)
    assert read_map(path) == mapping
    assert list(read_map(path)) == sorted(mapping)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1\nb\n", "map: line 2: a key without a value"),
        (b"a 1\n\nb 2\n", "map: line 2: an empty line"),
        (b"a 1\nb 2", "map: line 2: the line has no end"),
        (b"a 1\na 2\n", "map: line 2: the key a comes twice"),
        (b"a 1\n\xe9 2\n", "map: line 2: not UTF-8"),
        (b"a \xe9\n", "map: line 1: not UTF-8"),
        ("a\u00a0b 1\n".encode(), "map: line 1: .* is no key"),
    ],
)
def test_a_bad_line_of_a_map_is_named(here, content, message):
    Path("map").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_map("map")
    errors = []
    assert read_map("map", errors.append).get("b") in (None, "2")
    assert len(errors) == 1


def test_the_rest_of_a_line_is_the_value(here):
    Path("map").write_bytes(b"a\t sox in.mp3 -t wav - |  \r\n b  x y \n")
    assert read_map("map") == {"a": "sox in.mp3 -t wav - |", "b": "x y"}
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_map("nowhere")
    Path("map").write_text("a caf\u00e9\u00a0\n", encoding="utf-8")
    assert read_map("map") == {"a": "caf\u00e9\u00a0"}  # a file's name may end so
    for value in ("", " ", "x\ny", "x "):
        with pytest.raises(DataError, match="must be one line"):
            write_map("map", {"a": value})


def test_a_line_without_end_does_not_fill_memory(here):
    with open("map", "wb") as stream:
        stream.truncate(1 << 36)  # zeros that take no room on the disk
    with pytest.raises(FormatError, match=r"map: line 1: has more than 16777216 bytes"):
        read_map("map")


def test_a_value_that_is_not_utf8_is_refused_and_no_file_is_left(here):
    with pytest.raises(DataError, match=r"map: a: .* must be one line of UTF-8"):
        write_map("map", {"a": "caf\udce9/feats.ark:3"})
    assert not Path("map").exists()
