"""Kaldi tables: what rspecifiers, wspecifiers, scp lines and their ranges name, in which order it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lstmgenre.errors import DataError, FormatError, UsageError
from lstmgenre.tables import TableWriter, open_table, read_table
from tests.tables import assert_same, load, save


def test_permissive_scp_skips_bad_entries_and_goes_on(feats, caplog):
    lines = Path("feats.scp").read_text().splitlines(keepends=True)
    bad = ["x1 missing.ark:5\n", "x2 feats.ark:7\n", "x3 false |\n", "x4\n", lines[0], "x5 feats.ark:9999999\n"]
    bad += [lines[1].replace("u1", "x6").replace("\n", "[9:10]\n"), "x7 .\n"]
    mixed = [line for pair in zip(lines + lines[:4], bad, strict=True) for line in pair][:8] + bad[4:]
    Path("mixed.scp").write_text("".join(mixed))
    assert_same(dict(read_table("scp,p:mixed.scp")), feats)
    assert caplog.text.count("skipped: ") == 8
    with pytest.raises(DataError, match=r"x1: missing.ark: cannot be read"):
        list(read_table("scp:mixed.scp"))
    with open_table("scp,p:mixed.scp") as table:
        assert "x1" not in table
        assert table.get("x3") is None
        np.testing.assert_array_equal(table["u3"], feats["u3"])


def test_the_first_bad_entry_stops_but_what_came_before_is_read(feats):
    lines = Path("feats.scp").read_text().splitlines(keepends=True)
    Path("bad.scp").write_text(lines[0] + "x feats.ark:7\n" + lines[1])
    table = read_table("scp:bad.scp")
    assert next(table)[0] == "u0"
    with pytest.raises(FormatError, match=r"x: feats\.ark, byte \d+"):
        next(table)


def test_permissive_archive_ends_where_it_is_broken(feats, caplog):
    Path("cut.ark").write_bytes(Path("feats.ark").read_bytes()[:-1])
    assert_same(dict(read_table("ark,p:cut.ark")), {key: feats[key] for key in ("u0", "u1", "u2")})
    assert "cut off" in caplog.text


def test_permissive_archive_goes_on_after_a_whole_but_bad_value(here):
    Path("t.ark").write_text("a [ 1 2 ]\nb [ nan 1 ]\na [ 3 4 ]\nc [ 5 6 ]\n")
    assert {key: value.tolist() for key, value in read_table("ark,p:t.ark", "vector")} == {"a": [1, 2], "c": [5, 6]}


@pytest.mark.parametrize(
    ("wanted", "rows", "columns"),
    [
        ("[0:1]", slice(0, 2), slice(None)),
        ("[:,1:2]", slice(None), slice(1, 3)),
        ("[2:4,0:0]", slice(2, 5), slice(0, 1)),
        ("[,2:2]", slice(None), slice(2, 3)),
        ("[3:7]", slice(3, None), slice(None)),  # 3 after the last of 5 rows: as far as Kaldi goes
    ],
)
def test_ranges_are_inclusive_and_end_at_most_three_rows_late(feats, caplog, wanted, rows, columns):
    line = Path("feats.scp").read_text().splitlines()[1]
    Path("range.scp").write_text(f"{line}{wanted}\n")
    np.testing.assert_array_equal(load("scp:range.scp")["u1"], feats["u1"][rows, columns])
    assert ("is cut there" in caplog.text) == (wanted == "[3:7]")


@pytest.mark.parametrize("wanted", ["[3:8]", "[5:6]", "[2:1]", "[0:1,0:3]", "[0:1,0:1,0:1]", "[1]", "[-1:2]", "[a:b]"])
def test_other_ranges_are_refused(feats, wanted):
    line = Path("feats.scp").read_text().splitlines()[1]
    Path("range.scp").write_text(f"{line}{wanted}\n")
    with pytest.raises(FormatError, match="u1: range"):
        load("scp:range.scp")


def test_ranges_of_vectors(here):
    save("ark,scp:v.ark,v.scp", {"u": np.arange(6.0)}, "vector")
    Path("r.scp").write_text(Path("v.scp").read_text().replace("\n", "[2:3]\n"))
    assert load("scp:r.scp", "vector")["u"].tolist() == [2, 3]


@pytest.mark.parametrize(
    "rspecifier", ["feats.scp", "ark", "arc:x", "ark,scp:x", "ark,q:x", "scp,f:x", ":x", "", "p:x"]
)
def test_what_is_no_rspecifier_is_refused(rspecifier):
    with pytest.raises(UsageError, match="no rspecifier"):
        read_table(rspecifier)


@pytest.mark.parametrize(
    "wspecifier", ["x.ark", "ark,scp:x", "ark,scp:x,", "scp,ark:x,y", "ark,cs:x", "ark,q:x", "t:x", ""]
)
def test_what_is_no_wspecifier_is_refused(wspecifier):
    with pytest.raises(UsageError, match="no wspecifier"):
        TableWriter(wspecifier)


def test_a_malformed_name_is_bad_usage_and_one_line(here, command):
    for names in ("feats.scp ark:-", "scp:feats.scp seg.ark", "ark:- ark,scp:-,x.scp"):
        done = command(f"pool-segments {names}")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize(
    "wspecifier",
    [
        "ark,scp:-,x.scp",
        "ark,scp:| cat,x.scp",
        "ark,scp:x,./x",
        "ark,scp:x,.",
        "ark,scp:a\nb.ark,x.scp",
        "ark,scp:\udcff.ark,x.scp",
    ],
)
def test_an_scp_needs_an_archive_of_its_own(here, wspecifier):
    with pytest.raises(UsageError, match=r"scp needs|directory|cannot stand"):
        TableWriter(wspecifier)


def test_every_option_is_understood(feats):
    for options in ("b,o,s,cs,p,bg", "t", "no,ns,ncs,np"):
        assert_same(dict(read_table(f"ark,{options}:feats.ark")), feats)
    save("ark,b,f,p:copy.ark", feats)
    assert Path("copy.ark").read_bytes() == Path("feats.ark").read_bytes()
    save("ark,nf:copy.ark", feats)
    assert Path("copy.ark").read_bytes() == Path("feats.ark").read_bytes()


def test_sorted_is_checked(here):
    save("ark:unsorted.ark", {"b": np.zeros(1), "a": np.zeros(1)}, "vector")
    assert list(load("ark:unsorted.ark", "vector")) == ["b", "a"]
    with pytest.raises(DataError, match="a comes after b"):
        list(read_table("ark,s:unsorted.ark", "vector"))


def test_a_sorted_archive_is_read_as_it_is_asked(feats):
    with open_table("ark,s,cs:feats.ark") as table:
        assert "a" not in table
        np.testing.assert_array_equal(table["u1"], feats["u1"])
        np.testing.assert_array_equal(table["u1"], feats["u1"])
        assert table.get("u2x") is None
        np.testing.assert_array_equal(table["u3"], feats["u3"])
        assert "z" not in table
        with pytest.raises(DataError, match="option cs, but u0 is asked for after z; drop cs"):
            table["u0"]
        with pytest.raises(DataError, match="cs"):
            list(table)


def test_no_key_comes_after_the_end_of_a_sorted_archive(feats):
    with open_table("ark,s,cs:feats.ark") as table, pytest.raises(KeyError):
        table["\U0010ffff\U0010ffff"]


def test_random_access_over_several_archives(feats):
    save("ark,scp:more.ark,more.scp", {f"v{i}": value for i, value in enumerate(feats.values())})
    lines = Path("feats.scp").read_text().splitlines() + Path("more.scp").read_text().splitlines()
    Path("all.scp").write_text("".join(f"{line}\n" for line in sorted(lines, key=lambda line: line[::-1])))
    with open_table("scp:all.scp") as table:
        assert len(table) == 8
        for i in (3, 0, 2):
            np.testing.assert_array_equal(table[f"v{i}"], table[f"u{i}"])
        with pytest.raises(KeyError):
            table["nobody"]


def test_an_scp_goes_on_after_a_file_that_was_missing(feats):
    lines = Path("feats.scp").read_text().splitlines(keepends=True)
    Path("gap.scp").write_text(lines[0] + "x missing.ark:3\n" + lines[1])
    assert [key for key, _ in read_table("scp,p:gap.scp")] == ["u0", "u1"]


def test_equal_keys_and_unequal_columns_are_refused(here):
    Path("twice.ark").write_text("a [ 1 ]\na [ 2 ]\n")
    with pytest.raises(DataError, match=r"twice.ark: a: the key comes twice"):
        list(read_table("ark:twice.ark", "vector"))
    Path("twice.scp").write_text("a twice.ark:2\na twice.ark:2\n")
    for read in (read_table, open_table):
        with pytest.raises(DataError, match="a: the key comes twice"):
            list(read("scp:twice.scp", "vector"))
    Path("columns.ark").write_text("a [ 1 2 ]\nempty [ ]\nb [ 1 2 3 ]\n")
    with pytest.raises(DataError, match="b: 3 columns, where a has 2"):
        list(read_table("ark:columns.ark"))
