"""Kaldi tables: against damage and malice. Any error but ours fails a test."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstmgenre.errors import DataError, FormatError
from lstmgenre.tables import open_table, read_map, read_table
from tests.tables import VALUES, assert_same, save

RANDOM = np.random.default_rng(1)


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
