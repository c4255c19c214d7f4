"""Kaldi tables: against archives that Kaldi wrote, against kaldi_native_io and kaldiio."""

from __future__ import annotations

import os
from pathlib import Path

import kaldi_native_io
import kaldiio
import numpy as np
import pytest

from lstmgenre.errors import DataError
from lstmgenre.tables import read_table
from tests.tables import GOLDEN, SEVEN_DIGITS, VALUES, assert_same, load, save

RANDOM = np.random.default_rng(1)


@pytest.fixture
def golden(monkeypatch):
    monkeypatch.chdir(GOLDEN / "io")  # where the paths in Kaldi's scp files start


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
