"""Kaldi tables: what is written is read again; what cannot be is refused; no file is left half written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstmgenre.errors import DataError
from lstmgenre.nnet1 import init
from lstmgenre.tables import TableWriter, read_table, write_map
from tests.tables import SEVEN_DIGITS, assert_same, keys, load, save

RANDOM = np.random.default_rng(1)


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
int32 = st.integers(-(2**31), 2**31 - 1)
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


def test_a_full_disk_leaves_neither_file(here, python):
    code = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    from lstmgenre.tables import TableWriter
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


@pytest.mark.system
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


def test_memory_does_not_grow_with_the_number_of_utterances(here, python):
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


@pytest.mark.slow
def test_the_pipe_from_features_to_segments_keeps_its_memory(here, python):
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


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.arange(12, dtype=np.float32).reshape(3, 4), "matrix"),
        (np.arange(5, dtype=np.float32), "vector"),
        (np.arange(-3, 4, dtype=np.int32), "int-vector"),
    ],
)
def test_what_is_written_is_what_kaldiio_writes(here, value, kind):
    with TableWriter("ark:ours.ark", kind) as table:
        table.write("a", value)
    kaldiio.save_ark("theirs.ark", {"a": value})
    assert Path("ours.ark").read_bytes() == Path("theirs.ark").read_bytes()
