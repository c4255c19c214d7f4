"""Kaldi tables: against archives that Kaldi wrote, against kaldi_native_io and kaldiio, against damage and malice."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import kaldi_native_io
import kaldiio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstmgenre.errors import DataError, FormatError, UsageError
from lstmgenre.nnet1 import init
from lstmgenre.tables import (
    NO_PIPES,
    TableWriter,
    open_input,
    open_output,
    open_table,
    read_map,
    read_table,
    write_map,
)

GOLDEN = Path(__file__).parent / "data" / "kaldi_io"
RANDOM = np.random.default_rng(1)


@pytest.fixture
def golden(monkeypatch):
    monkeypatch.chdir(GOLDEN / "io")  # where the paths in Kaldi's scp files start


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(rspecifier, kind="matrix"):
    with open_table(rspecifier, kind) as table:
        return {key: table[key] for key in table}


def save(wspecifier, entries, kind="matrix", **options):
    with TableWriter(wspecifier, kind, **options) as table:
        for key, value in entries.items():
            table.write(key, value)


def assert_same(got, expected, rtol=0.0):
    assert list(got) == list(expected)
    for key in expected:
        if isinstance(expected[key], np.ndarray):
            assert got[key].dtype == expected[key].dtype
            np.testing.assert_allclose(got[key], expected[key], rtol=rtol, atol=rtol, err_msg=key)
        elif isinstance(expected[key], list):
            assert [[label for label, _ in frame] for frame in got[key]] == [
                [label for label, _ in frame] for frame in expected[key]
            ]
            weights = [[weight for frame in value for _, weight in frame] for value in (got[key], expected[key])]
            np.testing.assert_allclose(*weights, rtol=rtol, atol=rtol)
        else:
            assert got[key] == (
                pytest.approx(expected[key], rel=rtol) if isinstance(expected[key], float) else expected[key]
            )


# Kaldi's own archives -------------------------------------------------------------------------------------------------

SEVEN_DIGITS = 1e-6


@pytest.mark.parametrize(
    ("rspecifier", "reference", "kind", "rtol"),
    [
        ("ark:feats7_t.ark", "ark:../in/feats7.ark", "matrix", SEVEN_DIGITS),
        ("scp:feats7_t.scp", "ark:../in/feats7.ark", "matrix", SEVEN_DIGITS),
        ("scp:rel.scp", "ark:../in/feats7.ark", "matrix", 0),
        ("scp:comp_default.scp", "ark:comp_default.ark", "matrix", 0),
        ("scp:range.scp", "ark:range.txt", "matrix", SEVEN_DIGITS),
        ("scp:range_comp.scp", "ark:range_comp.txt", "matrix", SEVEN_DIGITS),
        ("ark:special.ark", "ark:special.txt", "matrix", SEVEN_DIGITS),
        *((f"ark:special_m{method}.ark", f"ark:special_m{method}.txt", "matrix", SEVEN_DIGITS) for method in (1, 2, 5)),
        *((f"ark:comp_m{method}.ark", f"ark:comp_m{method}.dec.ark", "matrix", 0) for method in range(1, 8)),
        ("ark:vec.ark", "ark:vec.txt", "vector", SEVEN_DIGITS),
        ("scp:vec.scp", "ark:vec.txt", "vector", SEVEN_DIGITS),
        ("ark:int.ark", "ark:int.txt", "int-vector", 0),
        ("ark:post.ark", "ark:post.txt", "posterior", SEVEN_DIGITS),
        ("scp:post.scp", "ark:post.txt", "posterior", SEVEN_DIGITS),
    ],
)
def test_kaldis_archives_read_as_kaldi_reads_them(golden, rspecifier, reference, kind, rtol):
    assert_same(load(rspecifier, kind), load(reference, kind), rtol)


def test_text_archives_hold_the_numbers_one_sees(golden):
    assert_same(
        load("ark:vec.txt", "vector"),
        {"a": np.float32([1, 2.5, -3e-5]), "b": np.float32([]), "c": np.float32([0.1234568])},
    )
    assert_same(load("ark:int.txt", "int-vector"), {"a": np.int32([1, 2, 3]), "b": np.int32([7]), "c": np.int32([])})
    assert load("ark:utt2num_frames", "int") == {
        "utt-a": 11, "utt-b": 7, "utt-c": 131, "utt-d": 60, "utt-e": 61, "utt-f": 23,
    }  # fmt: skip
    special = load("ark:special.txt")
    assert special["four"].tolist() == [[1, -1, 0.5], [2, -2, 0.25], [3, -3, 0.125], [4, -4, 0.0625]]
    assert load("ark:post.txt", "posterior")["utt-b"][1] == [(2, 0.828), (0, 0.172)]


def test_double_precision_becomes_float32(here):
    wide = RANDOM.standard_normal((3, 2))
    with kaldi_native_io.DoubleMatrixWriter("ark:wide.ark") as table:
        table.write("u", wide)
    with kaldi_native_io.DoubleVectorWriter("ark:long.ark") as table:
        table.write("u", wide[:, 0])
    assert b"DM " in Path("wide.ark").read_bytes()
    assert_same(load("ark:wide.ark"), {"u": wide.astype(np.float32)})
    assert_same(load("ark:long.ark", "vector"), {"u": wide[:, 0].astype(np.float32)})


def test_a_file_without_a_key_is_read_through_an_scp(here):
    Path("cmvn.scp").write_text(f"stats {GOLDEN}/io/cmvn_dm.mat\n")
    np.testing.assert_array_equal(load("scp:cmvn.scp")["stats"], kaldiio.load_mat(f"{GOLDEN}/io/cmvn_dm.mat"))


@pytest.mark.parametrize("method", range(1, 8))
def test_compression_gives_kaldis_bytes(golden, here, method):
    features = load(f"ark:{GOLDEN}/in/feats7.ark")
    save("ark:ours.ark", features, compress=method)
    assert Path("ours.ark").read_bytes() == (GOLDEN / f"io/comp_m{method}.ark").read_bytes()


@pytest.mark.parametrize("method", [1, 2, 5])
def test_compression_of_few_rows_gives_kaldis_bytes(here, method):
    ours = b""
    for key, matrix in load(f"ark:{GOLDEN}/io/special.ark").items():
        save("ark:one.ark", {key: matrix}, compress=method)
        ours += Path("one.ark").read_bytes()
    assert ours == (GOLDEN / f"io/special_m{method}.ark").read_bytes()


@pytest.mark.parametrize(
    ("archive", "kind", "options", "kaldis"),
    [
        ("feats7_t.ark", "matrix", ",t", "../in/feats7.ark"),
        ("vec.txt", "vector", ",t", "vec.ark"),
        ("int.txt", "int-vector", ",t", "int.ark"),
        ("post.txt", "posterior", ",t", "post.ark"),
        ("vec.ark", "vector", "", "vec.ark"),
        ("int.ark", "int-vector", "", "int.ark"),
        ("post.ark", "posterior", "", "post.ark"),
        ("utt2num_frames", "int", ",t", "utt2num_frames"),
    ],
)
def test_what_we_write_is_what_kaldi_wrote(golden, here, archive, kind, options, kaldis):
    os.chdir(GOLDEN / "io")
    entries = load(f"ark:{kaldis}", kind)
    os.chdir(here)
    save(f"ark,scp{options}:{archive},ours.scp", entries, kind)
    expected = GOLDEN / "io" / archive
    assert Path(archive).read_bytes() == expected.read_bytes()
    if archive.endswith(".ark") and expected.with_suffix(".scp").exists():
        assert Path("ours.scp").read_bytes() == expected.with_suffix(".scp").read_bytes()


# Other readers and writers --------------------------------------------------------------------------------------------

VALUES = {
    "matrix": RANDOM.standard_normal((5, 3)).astype(np.float32),
    "vector": RANDOM.standard_normal(4).astype(np.float32),
    "int-vector": np.array([3, -1, 2**31 - 1], np.int32),
    "posterior": [[(0, 0.25), (5, 0.75)], [], [(1, 1.0)]],
    "int": -7,
    "float": 0.5,
    "token": "jazz_blues",
}
PEERS = {
    "matrix": "FloatMatrix",
    "vector": "FloatVector",
    "int-vector": "Int32Vector",
    "posterior": "Posterior",
    "int": "Int32",
    "float": "Float",
    "token": "Token",
}


@pytest.mark.parametrize("options", ["", ",t"])
@pytest.mark.parametrize("kind", VALUES)
def test_kaldi_native_io_reads_ours_and_we_read_its(here, kind, options):
    entries = {"artist-é": VALUES[kind], "b": VALUES[kind]}
    save(f"ark,scp{options}:ours.ark,ours.scp", entries, kind)
    reader = getattr(kaldi_native_io, f"Sequential{PEERS[kind]}Reader")
    for rspecifier in ("ark:ours.ark", "scp:ours.scp"):
        with reader(rspecifier) as table:
            theirs = {key: _plain(value, kind) for key, value in table}
        assert_same(theirs, entries, SEVEN_DIGITS if options else 0)
    with getattr(kaldi_native_io, f"{PEERS[kind]}Writer")(f"ark,scp{options}:theirs.ark,theirs.scp") as table:
        for key, value in entries.items():
            table.write(key, value.tolist() if kind == "int-vector" else value)
    for rspecifier in ("ark:theirs.ark", "scp:theirs.scp"):
        assert_same(dict(read_table(rspecifier, kind)), entries, SEVEN_DIGITS if options else 0)


def _plain(value, kind):
    if kind == "posterior":
        return [[tuple(pair) for pair in frame] for frame in value]
    return np.array(value, VALUES[kind].dtype) if isinstance(VALUES[kind], np.ndarray) else value


@pytest.mark.parametrize("options", ["", ",t"])
@pytest.mark.parametrize("kind", VALUES)
def test_an_scp_alone_says_where_each_value_goes(here, kind, options):
    for name in ("ours", "theirs"):
        Path(f"{name}.scp").write_text(f"a {name}.a\nb | cat > {name}.b\nc {name}.c\n")
    save(f"scp{options}:ours.scp", {"b": VALUES[kind], "a": VALUES[kind]}, kind)
    with getattr(kaldi_native_io, f"{PEERS[kind]}Writer")(f"scp{options}:theirs.scp") as table:
        for key in "ba":
            table.write(key, VALUES[kind].tolist() if kind == "int-vector" else VALUES[kind])
    for key in "ab":
        assert Path(f"ours.{key}").read_bytes() == Path(f"theirs.{key}").read_bytes()
    assert not Path("ours.c").exists()
    Path("files.scp").write_text("a ours.a\nb ours.b\n")
    assert_same(dict(read_table("scp:files.scp", kind)), dict.fromkeys("ab", VALUES[kind]), SEVEN_DIGITS)


def test_a_key_that_an_scp_alone_does_not_name_is_refused_or_left_out(here):
    Path("places.scp").write_text("a a.mat\n")
    entries = {"x": np.ones((1, 1)), "a": np.ones((1, 1))}
    with pytest.raises(DataError, match=r"places.scp: no line for x; add one, or leave it out with scp,p:"):
        save("scp:places.scp", entries)
    assert os.listdir() == ["places.scp"]
    save("scp,p:places.scp", entries)
    assert sorted(os.listdir()) == ["a.mat", "places.scp"]
    with pytest.raises(DataError, match="nowhere"):
        save("scp:nowhere", entries)


@pytest.mark.parametrize("method", [0, 2, 3, 5])
def test_kaldiio_reads_ours_and_we_read_its(here, method):
    features = {f"u{i}": RANDOM.standard_normal((20 + i, 6)).astype(np.float32) for i in range(3)}
    save("ark,scp:ours.ark,ours.scp", features, compress=method)
    tolerance = 0.05 if method else 0
    for theirs in (dict(kaldiio.load_ark("ours.ark")), dict(kaldiio.load_scp("ours.scp"))):
        assert_same(theirs, features, tolerance)
    kaldiio.save_ark("theirs.ark", features, scp="theirs.scp", compression_method=method or None)
    assert_same(dict(read_table("ark:theirs.ark")), features, tolerance)
    assert_same(dict(read_table("scp:theirs.scp")), dict(kaldiio.load_ark("theirs.ark")), SEVEN_DIGITS)


# Laws -----------------------------------------------------------------------------------------------------------------

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
int32 = st.integers(-(2**31), 2**31 - 1)
keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda key: key.split() == [key] and "\0" not in key
)
kinds = {
    "matrix": hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(3)), elements=finite),
    "vector": hnp.arrays(np.float32, st.integers(0, 5), elements=finite),
    "int-vector": hnp.arrays(np.int32, st.integers(0, 5), elements=int32),
    "posterior": st.lists(st.lists(st.tuples(int32, finite), max_size=3), max_size=3),
    "int": int32,
    "float": finite,
    "token": keys,
}


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", kinds)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(tmp_path_factory, kind, text, data):
    entries = data.draw(st.dictionaries(keys, kinds[kind], max_size=4))
    path = tmp_path_factory.getbasetemp() / "law"
    save(f"ark,scp{',t' if text else ''}:{path}.ark,{path}.scp", entries, kind)
    for rspecifier in (f"ark:{path}.ark", f"scp:{path}.scp"):
        assert_same(dict(read_table(rspecifier, kind)), entries, SEVEN_DIGITS if text else 0)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(-100, 100, width=32))
)
def test_compression_errs_by_less_than_a_step(tmp_path_factory, matrix):
    path = tmp_path_factory.getbasetemp() / "compressed.ark"
    span = float(np.ptp(matrix)) or 1 + abs(float(matrix[0, 0]))
    for method, step in ((3, span / 65535), (5, span / 255)):
        save(f"ark:{path}", {"u": matrix}, compress=method)
        np.testing.assert_allclose(load(f"ark:{path}")["u"], matrix, atol=0.51 * step + 1e-5)


@given(st.dictionaries(keys, st.text(st.characters(codec="utf-8"), max_size=9)))
def test_maps_are_sorted_and_read_back(tmp_path_factory, mapping):
    mapping = {key: f"<{value}>".replace("\n", "") for key, value in mapping.items()}
    path = tmp_path_factory.getbasetemp() / "map"
    write_map(path, mapping)
    assert read_map(path) == mapping
    assert list(read_map(path)) == sorted(mapping)


# Damage ---------------------------------------------------------------------------------------------------------------


def archive_bytes(kind, text):
    save(f"ark{',t' if text else ''}:fuzz.ark", {"u1": VALUES[kind], "u2": VALUES[kind]}, kind)
    return Path("fuzz.ark").read_bytes()


def read_what_is_there(kind):
    """The entries before the end or the first error; any error but ours fails the test."""
    got = {}
    try:
        for key, value in read_table("ark:fuzz.ark", kind):
            got[key] = value
    except (DataError, FormatError) as error:
        return got, str(error)
    return got, None


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", VALUES)
def test_an_archive_cut_anywhere_is_noticed(here, kind, text):
    whole = archive_bytes(kind, text)
    entries = dict(read_table("ark:fuzz.ark", kind))
    for size in range(len(whole)):
        Path("fuzz.ark").write_bytes(whole[:size])
        got, error = read_what_is_there(kind)
        assert_same(got, dict(list(entries.items())[: len(got)]))
        if error is None:
            assert size in (0, len(whole) // 2)
        else:
            assert "fuzz.ark" in error
            assert "\n" not in error


@pytest.mark.parametrize("name", ["a.ark", "cat a.ark |"])
def test_large_and_small_values_follow_one_another_in_any_order(here, name):
    # 64 KB and more are read together with what follows; kaldiio writes, and says at which byte each value starts.
    rows = [1, 16383, 2, 16384, 16385, 40_000, 16384, 3, 1]
    entries = {f"u{k}": RANDOM.normal(size=(n, 1)).astype(np.float32) for k, n in enumerate(rows)}
    kaldiio.save_ark("a.ark", entries, scp="a.scp")
    ours = dict(read_table(f"ark:{name}"))
    assert list(ours) == list(entries)
    assert all(np.array_equal(ours[key], entries[key]) for key in entries)
    ours["u5"][:] = 0  # each is an array of its own, to do with as one likes
    assert np.array_equal(ours["u6"], entries["u6"])
    starts = {key: int(value.partition(":")[2]) for key, value in read_map("a.scp").items()}
    whole = Path("a.ark").read_bytes()
    for key, n in zip(entries, rows, strict=True):
        with open("a.ark", "wb") as stream:  # without the value's last byte, and all after it
            stream.write(whole[: starts[key] + 15 + 4 * n - 1])
        with pytest.raises(FormatError, match=f"{key}, byte {starts[key] + 15 + 4 * n - 1}: ends 1 bytes early"):
            dict(read_table(f"ark:{name}"))


@pytest.mark.parametrize("kind", VALUES)
def test_random_bytes_never_end_in_another_error(here, kind):
    random = np.random.default_rng(5)
    whole = archive_bytes(kind, text=False)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        Path("fuzz.ark").write_bytes(damaged)
        read_what_is_there(kind)
        Path("fuzz.ark").write_bytes(b"u " + random.bytes(40))
        read_what_is_there(kind)


@pytest.mark.parametrize("method", [2, 3, 5])
def test_damaged_compressed_matrices_never_end_in_another_error(here, method):
    random = np.random.default_rng(6)
    save("ark:fuzz.ark", {"u": RANDOM.standard_normal((10, 2))}, compress=method)
    whole = Path("fuzz.ark").read_bytes()
    for position in range(len(whole)):
        Path("fuzz.ark").write_bytes(whole[:position] + random.bytes(1) + whole[position + 1 :])
        read_what_is_there("matrix")


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"u \0BFM \4\2\0\0\0\4\2\0\0\0abc", "matrix", r"fuzz.ark: u, byte 20: ends 13 bytes early"),
        (b"u \0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f", "matrix", "u, byte 17"),
        (b"u \0BFM \4\xff\xff\xff\xff\4\0\0\0\0", "matrix", "u, byte 17: a size of -1"),
        (b"u \0BFV \4\0\0\0\0", "matrix", "'FV' where a matrix should be"),
        (b"u \0BXX ", "vector", "'XX' where a vector should be"),
        (b"u \0BFM \4\xff\xff\xff\x7f\4\0\0\0\0", "matrix", "u, byte 17: a matrix of 2147483647 rows without columns"),
        (
            b"u \0BCM3 " + struct.pack("<ffii", 3e38, 3e38, 1, 1) + b"\xff",
            "matrix",
            "u: holds a number that is not finite",
        ),
        (
            b"u \0BCM " + struct.pack("<ffii", 0, np.inf, 1, 1) + bytes(9),
            "matrix",
            "u: holds a number that is not finite",
        ),
        (b"u [ 1 2\n 3 ]\n", "matrix", "different lengths"),
        (b"u [ 1 x ]\n", "vector", "b'x' is no number"),
        (b"u [ 1 1_0 ]\n", "vector", "b'1_0' is no number"),
        (b"u 1 99999999999\n", "int-vector", "no 32-bit integer"),
        (b"u [ 1 0.5\n", "posterior", "b'' is no 32-bit integer"),
        (b"\xff\xfe [ 1 ]\n", "vector", "UTF-8"),
        (b"x" * 5000, "vector", "byte 0: no key"),
        (b"u RIFF....WAVE", "matrix", "b'RIF' where"),
        (b"u a b\n", "token", "2 words"),
        (b"u nan\n", "float", "not finite"),
        (b"u [ 1e39 ]\n", "vector", "not finite"),
        (b"u \0BFV \4\1\0\0\0\0\0\xc0\x7f", "vector", "not finite"),
    ],
)
@pytest.mark.filterwarnings("error")  # numpy's would be lines of their own on stderr
def test_the_message_says_what_and_where(here, content, kind, message):
    Path("fuzz.ark").write_bytes(content)
    with pytest.raises((DataError, FormatError), match=message):
        list(read_table("ark:fuzz.ark", kind))


@settings(max_examples=200, deadline=None)
@given(
    line=st.binary(max_size=30), name=st.sampled_from([b"", b"whole.ark:2", b"whole.ark:2[0:1]", b"whole.ark:2[0:1"])
)
@example(line=b"-", name=b"")
def test_no_line_of_an_scp_ends_in_another_error(tmp_path_factory, line, name):
    folder = tmp_path_factory.getbasetemp()
    save(f"ark:{folder}/whole.ark", {"u": np.ones((3, 2))})
    line = line.replace(b"|", b"")  # not to run it
    (folder / "fuzz.scp").write_bytes(b"u " + name.replace(b"whole", bytes(folder / "whole")) + line + b"\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))  # what "-" names
        try:
            read = dict(read_table(f"scp:{folder}/fuzz.scp"))
        except (DataError, FormatError):
            read = dict(read_table(f"scp,p:{folder}/fuzz.scp"))
    assert all((matrix == 1).all() for matrix in read.values())


@pytest.mark.parametrize(
    "name", ["a\0b", "fuzz.scp:" + "9" * 18, "fuzz.scp:" + "9" * 5000, "fuzz.scp[0:" + "9" * 5000 + "]"]
)
def test_odd_names_are_data_errors(here, name):
    Path("fuzz.scp").write_text(f"u {name}\n")
    with pytest.raises((DataError, FormatError)):
        list(read_table("scp:fuzz.scp"))


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("name", ["{path}", "cat {path} |", "{path}[0:1]"])
@pytest.mark.parametrize("kind", VALUES)
def test_a_pickle_is_never_opened(here, kind, name):
    payload = b"PKL" + pickle.dumps(Exploit())
    Path("evil.ark").write_bytes(b"u " + payload)
    Path("evil.pkl").write_bytes(payload)
    Path("evil.scp").write_text("u " + name.format(path="evil.pkl") + "\nv evil.ark:2\n")
    for rspecifier in ("ark:evil.ark", "ark:cat evil.ark |", "scp:evil.scp"):
        with pytest.raises(FormatError):
            list(read_table(rspecifier, kind))
        with open_table(rspecifier.replace("scp:", "scp,p:").replace("ark:", "ark,p:"), kind) as table:
            assert "u" not in table
            assert "v" not in table
    assert not Path("owned").exists()
    dict(kaldiio.load_ark("evil.ark"))  # the same bytes do run code there: the test would notice
    assert Path("owned").exists()


# Options and names ----------------------------------------------------------------------------------------------------


@pytest.fixture
def feats(here):
    entries = {f"u{i}": RANDOM.standard_normal((4 + i, 3)).astype(np.float32) for i in range(4)}
    save("ark,scp:feats.ark,feats.scp", entries)
    return entries


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


def test_a_malformed_name_is_bad_usage_and_one_line(here):
    for names in ("feats.scp ark:-", "scp:feats.scp seg.ark", "ark:- ark,scp:-,x.scp"):
        done = python("from lstmgenre.__main__ import main; main()", "pool-segments", *names.split())
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr


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


# Pipes ----------------------------------------------------------------------------------------------------------------


def test_commands_are_read_and_written(feats):
    assert_same(dict(read_table("ark:cat feats.ark |")), feats)
    assert_same(dict(read_table("scp:sort feats.scp |")), feats)
    save("ark:| gzip -c > feats.gz", feats)
    assert_same(dict(read_table("ark:gunzip -c feats.gz |")), feats)
    Path("pipe.scp").write_text("u1 tail -c +3 one.ark |[0:1]\n")
    save("ark:one.ark", {"u": feats["u1"]})
    np.testing.assert_array_equal(load("scp:pipe.scp")["u1"], feats["u1"][:2])


def test_named_pipes_are_read_and_written(feats):
    os.mkfifo("pipe")
    with subprocess.Popen(["cp", "feats.ark", "pipe"]):
        assert_same(dict(read_table("ark:pipe")), feats)
    with subprocess.Popen(["cp", "pipe", "copy.ark"]):
        save("ark:pipe", feats)
    assert Path("copy.ark").read_bytes() == Path("feats.ark").read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cat feats.ark; echo no more >&2; exit 3", "exit status 3: no more"),
        ("cat nowhere | cat", r"exit status 1: cat: nowhere"),
        ("head -c 100 feats.ark; false", "exit status 1"),
        ("kill -9 $$", "killed by signal 9"),
        ("no_such_command_here", "exit status 127"),
        ("printf 'a\\n\\nb\\nc\\nd\\n' >&2; exit 1", "exit status 1: b / c / d"),
    ],
)
def test_a_command_that_fails_is_an_error_with_its_last_words(feats, command, message):
    with pytest.raises(DataError, match=message) as error:
        list(read_table(f"ark:{command} |"))
    assert command in str(error.value)


def test_a_failing_command_in_an_scp_names_its_entry(feats):
    Path("bad.scp").write_text("u1 tail -c +4 feats.ark; echo gone >&2; exit 4 |\n")
    with pytest.raises(DataError, match=r"u1: .*exit status 4: gone"):
        list(read_table("scp:bad.scp"))


def test_leaving_early_is_no_failure_and_stops_the_command(feats):
    started = time.monotonic()
    table = read_table("ark:echo $$ > pid; cat feats.ark; exec sleep 60 |")
    assert next(table)[0] == "u0"
    table.close()
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


def test_bad_data_from_a_good_command_is_a_format_error(feats):
    with pytest.raises(FormatError, match="byte"):
        list(read_table("ark:echo u x |"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("head -c 10 > /dev/null", "stopped before"),
        ("cat > /dev/null; echo disk full >&2; exit 2", "exit status 2: disk full"),
        ("exit 5", "exit status 5"),
    ],
)
def test_a_reader_that_dies_fails_the_writer_with_its_name(here, command, message):
    with pytest.raises(DataError, match=message) as error:
        save(f"ark:| {command}", {f"u{i}": np.zeros((100, 100)) for i in range(50)})
    assert f"'| {command}'" in str(error.value)


def test_an_error_of_ours_stops_the_command_we_write_to(here):
    with pytest.raises(DataError, match="not finite"):
        save("ark:| cat > got.ark; touch done", {"a": np.zeros((2, 2)), "b": np.full((2, 2), np.nan)})
    assert not Path("done").exists()


def test_a_bar_on_the_wrong_side_is_refused(here):
    for name in ("|", " | "):
        with pytest.raises(UsageError, match="a bar without a command"):
            save(f"ark:{name}", {})
    with pytest.raises(UsageError, match="starts with the bar"):
        save("ark:gzip -c |", {})
    with pytest.raises(DataError, match="cannot be read"):
        list(read_table("ark:| cat"))


def test_commands_can_be_forbidden(feats, monkeypatch):
    monkeypatch.setenv(NO_PIPES, "1")
    Path("pipe.scp").write_text("u1 touch ran |\n")
    for rspecifier in ("ark:touch ran |", "scp:touch ran |", "scp:pipe.scp"):
        with pytest.raises(DataError, match="commands are forbidden"):
            list(read_table(rspecifier))
    with pytest.raises(DataError, match="commands are forbidden"):
        save("ark:| touch ran", {})
    assert not Path("ran").exists()
    assert_same(dict(read_table("scp:feats.scp")), feats)


def python(code, *arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


COPY = """
from lstmgenre.tables import TableWriter, read_table
with TableWriter({out!r}) as table:
    for key, value in read_table({source!r}):
        table.write(key, value)
"""


def test_a_closed_standard_output_is_said(here):
    code = """
    from lstmgenre.__main__ import main
    main()
    """
    save("ark:post.ark", {"u": np.full((2, 2), 0.5)})
    done = python(code, "pool-segments", "ark:post.ark", "ark:-", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert b"standard output is closed" in done.stderr


def test_an_error_of_another_file_is_not_blamed_on_the_one_written(here):
    with pytest.raises(FileNotFoundError, match="nowhere"), open_output("x"):
        os.stat("nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"), open_output("/dev/null"):
        os.stat("nowhere")


@pytest.mark.parametrize("name", ["-", ""])
def test_standard_input_and_output(feats, name):
    whole = Path("feats.ark").read_bytes()
    copy = python(COPY.format(out=f"ark:{name}", source=f"ark:{name}"), input=whole)
    assert (copy.returncode, copy.stdout) == (0, whole), copy.stderr
    copy = python(COPY.format(out="ark:/dev/stdout", source="scp:-"), input=Path("feats.scp").read_bytes())
    assert (copy.returncode, copy.stdout) == (0, whole), copy.stderr


def test_a_standard_input_that_does_not_wait_is_made_to(here):
    code = "from lstmgenre.tables import read_table; print(*[key for key, _ in read_table('ark:-', 'vector')])"
    save("ark:a.ark", {f"u{k}": np.zeros(3, np.float32) for k in range(4)}, "vector")
    content = Path("a.ark").read_bytes()
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with subprocess.Popen([sys.executable, "-c", code], stdin=ours, stdout=subprocess.PIPE) as reader:
        os.write(theirs, content[: len(content) // 2])
        time.sleep(1)
        os.write(theirs, content[len(content) // 2 :])
        os.close(theirs)
        assert reader.stdout.read() == b"u0 u1 u2 u3\n"
    os.close(ours)


def test_a_closed_standard_output_is_a_broken_pipe(here):
    code = """
    import sys
    import numpy as np
    from lstmgenre.tables import TableWriter
    try:
        with TableWriter("ark:-") as table:
            for i in range(10000):
                table.write(str(i), np.zeros((100, 100)))
    except BrokenPipeError:
        sys.stderr.write("broken")
        sys.stderr.flush()
        import os
        os._exit(0)
    """
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{textwrap.dedent(code)}' | head -c 100"], capture_output=True, timeout=60
    )
    assert done.stderr == b"broken"


def test_devices_stay_devices(here):
    save("ark:/dev/null", {"a": np.zeros((2, 2))})
    assert Path("/dev/null").is_char_device()
    with pytest.raises(DataError, match="/dev/full: cannot be written"):
        save("ark:/dev/full", {"a": np.zeros((2, 2))})
    assert Path("/dev/full").is_char_device()


def test_offsets_and_plain_files(here):
    Path("x.bin").write_bytes(b"0123456789")
    with open_input("x.bin:4") as stream:
        assert stream.read() == b"456789"
    with open_output("new/y.bin") as stream:
        stream.write(b"abc")
    assert Path("new/y.bin").read_bytes() == b"abc"
    for name in ("nowhere", "nowhere:3", "."):
        with pytest.raises(DataError, match="cannot be read"), open_input(name):
            pass


def test_a_name_may_end_in_what_only_unicode_calls_a_space(here):
    for name in ("caf\u00e9\u00a0", "\x1c"):
        save(f"ark: {name} ", {"a": np.ones((1, 1))})
        assert Path(name).exists()
        assert "a" in load(f"ark: {name} ")


# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("matrix", np.zeros(3)),
        ("matrix", np.zeros((2, 2), int)),
        ("matrix", np.array([[np.nan]])),
        ("matrix", np.array([[1e39]])),
        ("matrix", "text"),
        ("matrix", None),
        ("vector", np.zeros((1, 1))),
        ("vector", np.array([1 + 1j])),
        ("vector", np.array([np.inf])),
        ("int-vector", [1.5]),
        ("int-vector", [2**31]),
        ("int-vector", [True]),
        ("int", "x"),
        ("int", float("inf")),
        ("float", 1e300),
        ("float", float("nan")),
        ("float", None),
        ("token", "two words"),
        ("token", ""),
        ("token", 3),
        ("posterior", [[(0, np.inf)]]),
        ("posterior", [[0.5, 0.5]]),
        ("posterior", [[(0.5, 1.0)]]),
    ],
)
def test_values_that_are_not_of_the_kind_are_refused(here, kind, value):
    with pytest.raises(DataError, match=r"x\.ark: u: "), TableWriter("ark,scp:x.ark,x.scp", kind) as table:
        table.write("u", value)
    assert os.listdir() == []


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\ta", "a\u00a0b", "\ud800", "a\0"])
def test_keys_that_could_not_be_read_back_are_refused(here, key):
    with pytest.raises(DataError, match="is no key"):
        save("ark:x.ark", {key: np.zeros((1, 1))})
    with pytest.raises(DataError, match="is no key"):
        write_map("x.map", {key: "value"})
    assert os.listdir() == []


def test_a_table_has_one_width_and_no_key_twice(here):
    with TableWriter("ark:x.ark") as table:
        table.write("a", np.ones((2, 3)))
        with pytest.raises(DataError, match="b: 4 columns, where the entries before it have 3"):
            table.write("b", np.ones((2, 4)))
        with pytest.raises(DataError, match="a: the key was written before"):
            table.write("a", np.ones((2, 3)))
        table.write("empty", np.ones((0, 3)))
        table.write("c", np.ones((1, 3), np.float64)[:, ::-1])
    assert_same(
        dict(read_table("ark:x.ark")),
        {"a": np.ones((2, 3), "f"), "empty": np.ones((0, 0), "f"), "c": np.ones((1, 3), "f")},
    )


@pytest.mark.parametrize(("wspecifier", "compress"), [("ark,t:x", True), ("ark:x", 8), ("ark:x", -1)])
def test_only_binary_matrices_are_compressed(wspecifier, compress):
    with pytest.raises(DataError, match="compressed"):
        TableWriter(wspecifier, compress=compress)


def test_an_unbounded_range_is_not_compressed(here):
    with pytest.raises(DataError, match="too far apart"):
        save("ark:x.ark", {"u": np.float32([[3e38, -3e38]])}, compress=3)


def test_after_an_exception_the_old_files_are_there_and_nothing_new(feats):
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    for name in ("feats", "other"):
        with pytest.raises(DataError, match="not finite"):
            save(f"ark,scp:{name}.ark,{name}.scp", {"a": np.zeros((2, 2)), "b": np.full((2, 2), np.nan)})
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_a_full_disk_leaves_neither_file(here):
    code = f"""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    {COPY.strip().splitlines()[0]}
    import numpy as np
    from lstmgenre.errors import DataError
    try:
        with TableWriter("ark,scp:x.ark,x.scp") as table:
            for i in range(200):
                table.write(str(i), np.zeros((1, 1)))
    except DataError as error:
        print(error)
    """
    done = python(code, cwd=here)
    assert b"cannot be written" in done.stdout, done.stderr
    assert os.listdir() == []


def test_a_killed_writer_leaves_nothing_that_looks_complete(here):
    code = """
    import time
    import numpy as np
    from lstmgenre.tables import TableWriter
    with TableWriter("ark,scp:x.ark,x.scp") as table:
        for i in range(100):
            table.write(str(i), np.zeros((100, 100)))
        print("written", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        save("ark,scp:x.ark,x.scp", {"a": np.zeros((1, 1))})  # leaves alone what another that lives is writing
        assert len(os.listdir()) == 4
        os.remove("x.ark")
        os.remove("x.scp")
        process.send_signal(signal.SIGKILL)
    assert not {"x.ark", "x.scp"} & set(os.listdir())
    assert len(os.listdir()) == 2
    save("ark,scp:x.ark,x.scp", {"a": np.zeros((1, 1))})
    assert sorted(os.listdir()) == ["x.ark", "x.scp"]


def test_an_old_scp_never_points_into_a_new_archive(feats, monkeypatch):
    replaced = []
    rename = os.replace

    def watch(source, target):
        replaced.append((Path(target).name, Path("feats.scp").exists()))
        rename(source, target)

    monkeypatch.setattr(os, "replace", watch)
    save("ark,scp:feats.ark,feats.scp", feats)
    assert replaced == [("feats.ark", False), ("feats.scp", False)]
    assert Path("feats.scp").exists()


def test_a_linked_archive_is_written_where_the_link_points(here):
    Path("disk").mkdir()
    Path("feats.ark").symlink_to("disk/feats.ark")
    Path("disk/feats.ark").touch()
    save("ark:feats.ark", {"a": np.zeros((1, 1))})
    assert Path("feats.ark").is_symlink()
    assert Path("disk/feats.ark").stat().st_size > 0


def test_an_scp_is_written_where_its_link_points_and_a_pipe_stays_one(here):
    Path("store").mkdir()
    Path("linked.scp").symlink_to("store/real.scp")
    for number in (1, 2):
        save("ark,scp:a.ark,linked.scp", {f"u{number}": np.zeros(3, np.float32)}, "vector")
        assert Path("linked.scp").is_symlink()
        assert list(load("scp:linked.scp", "vector")) == [f"u{number}"]
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        save("ark,scp:a.ark,pipe", {"u": np.zeros(3, np.float32)}, "vector")
        assert reader.stdout.read() == b"u a.ark:2\n"
    assert Path("pipe").is_fifo()


def test_memory_does_not_grow_with_the_number_of_utterances(here):
    code = """
    import resource
    import sys
    import numpy as np
    from lstmgenre.tables import TableWriter, read_table
    count = int(sys.argv[1])
    matrix = np.ones((160, 525), np.float32)
    with TableWriter("ark,scp:a.ark,a.scp") as table:
        for i in range(count):
            table.write(f"utt{i:06d}", matrix)
    for source in ("ark:a.ark", "scp:a.scp", "ark:cat a.ark |"):
        with TableWriter("ark:| cat > /dev/null") as table:
            for key, value in read_table(source):
                table.write(key, value)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = [int(python(code, str(count)).stdout) for count in (10, 300)]
    assert peaks[1] - peaks[0] < 10_000  # kilobytes; the 300 matrices are 100 MB


def test_the_pipe_from_features_to_segments_keeps_its_memory(here):
    """10 000 utterances are 80 MB on each side of forward; what it reads ahead, 4 MB, is full with 1 000, too."""
    init.dnn(20, [], 20, seed=1).write("exp/final.nnet")
    frames = RANDOM.standard_normal((100, 20)).astype(np.float32)
    save("ark,scp:feats.ark,feats.scp", {f"u{i:05}": frames for i in range(10_000)})
    # A process's peak counts that of the one it was forked from, so this one must be small.
    code = """
    import os, subprocess, sys
    run, count = [sys.executable, "-m", "lstmgenre"], sys.argv[1]
    source = f"scp:head -n {count} feats.scp |"
    forward = subprocess.Popen([*run, "forward", "exp", source, "ark:-"], stdout=subprocess.PIPE)
    pool = subprocess.Popen([*run, "pool-segments", "ark:-", f"ark:{count}.ark"], stdin=forward.stdout)
    print([os.wait4(process.pid, 0)[2].ru_maxrss for process in (pool, forward)])
    """
    peaks = [json.loads(python(code, str(count)).stdout) for count in (1_000, 10_000)]
    assert sum(1 for _ in read_table("ark:10000.ark", "vector")) == 10_000
    assert (np.diff(peaks, axis=0) < 10_000).all(), peaks  # kilobytes


# Maps -----------------------------------------------------------------------------------------------------------------


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


def test_streams_without_a_file_descriptor_do(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"u  [ 1 2 ]\n")))
    assert next(read_table("ark:-", "vector"))[1].tolist() == [1, 2]
