"""What stands beside an archive: one record, in the place of nothing else."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.expdir import read_runs
from lstmgenre.segments import Pooling
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables import TableWriter, read_table, write_map
from lstmgenre.tables.records import Record, read_record, record_of, write_record


@pytest.fixture(autouse=True)
def posteriors(here):
    """post.ark and post.scp: four tracks of two classes; data: their genres."""
    rng = np.random.default_rng(1)
    with TableWriter("ark,scp:post.ark,post.scp") as table:
        for name in "abcd":
            table.write(name, rng.dirichlet(np.ones(2), size=9).astype(np.float32))
    Path("data").mkdir()
    for file, value in (("utt2genre", "rock"), ("utt2spk", "x")):
        write_map(f"data/{file}", {name: f"{value}{k % 2}" for k, name in enumerate("abcd")})


def pool(command, target, *options):
    done = command(" ".join(["pool-segments ark:post.ark", target, *options]))
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("archive", "record"),
    [
        ("seg.ark", "seg.ark.json"),
        ("seg.json", "seg.json.ark.json"),
        ("seg", "seg.ark.json"),
        ("svm", "svm.ark.json"),
        ("seg.txt", "seg.txt.ark.json"),
        (".ark", ".ark.json"),
        ("x.ark.json", "x.ark.json.ark.json"),
        ("log", "log.ark.json"),
    ],
)
def test_an_archive_has_one_file_beside_it_that_is_no_archive(command, archive, record):
    before = set(os.listdir())
    pool(command, f"ark:{archive}", "--threshold 0.7")
    assert set(os.listdir()) - before == {archive, record}
    assert len(dict(read_table(f"ark:{archive}", "vector"))) == 4
    assert Pooling.of_vectors(f"ark:{archive}") == Pooling(0.7, fuse=False)
    kept = json.loads(Path(record).read_text())
    assert kept["archive"] == archive
    assert kept["command"] == f"lstmgenre pool-segments ark:post.ark ark:{archive} --threshold 0.7"
    assert kept["options"]["threshold"] == 0.7
    assert "lstmgenre" in kept["versions"]
    ((directory, run),) = read_runs([Path()])
    assert (run.name, directory) == ("pool-segments", Path())


@pytest.mark.parametrize("archive", ["svm/svm.ark", "svm/svm", "svm/svm.json.ark", "svm/score.ark"])
def test_a_trained_svm_stays(command, archive):
    pool(command, "ark,scp:seg.ark,seg.scp")
    assert command("train-svm data scp:seg.scp svm").returncode == 0
    trained = Path("svm/svm.json").read_bytes()
    pool(command, f"ark:{archive}")
    assert Path("svm/svm.json").read_bytes() == trained
    assert SegmentSvm.load(Path("svm")).pooling == Pooling(0.9, fuse=False)


@pytest.mark.parametrize(
    "put",
    [
        lambda path: path.write_text("dear diary"),
        lambda path: path.write_text('{"my": "document"}'),
        lambda path: path.write_bytes(b"\0\xff"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("elsewhere"),
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/dev/zero"),
    ],
    ids=["text", "json", "bytes", "brackets", "directory", "dangling link", "named pipe", "endless"],
)
def test_what_is_no_record_stays_and_is_a_warning(command, put):
    put(Path("seg.ark.json"))
    kind, content = Path("seg.ark.json").lstat(), None
    if Path("seg.ark.json").is_file():
        content = Path("seg.ark.json").read_bytes()
    assert "warning: seg.ark.json: is something else" in pool(command, "ark:seg.ark").replace(str(Path.cwd()) + "/", "")
    assert (Path("seg.ark.json").lstat().st_ino, Path("seg.ark.json").lstat().st_mode) == (kind.st_ino, kind.st_mode)
    assert content is None or Path("seg.ark.json").read_bytes() == content
    assert not Path("elsewhere").exists()
    assert Pooling.of_vectors("ark:seg.ark") is None
    assert len(dict(read_table("ark:seg.ark", "vector"))) == 4
    assert command("train-svm data ark:seg.ark svm").returncode == 0


def test_the_list_of_the_archive_may_have_the_records_name(command):
    assert "is something else" in pool(command, "ark,scp:seg.ark,seg.ark.json")
    assert len(dict(read_table("scp:seg.ark.json", "vector"))) == 4


def test_a_record_that_cannot_be_written_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr("tempfile.mkstemp", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    write_record("post.ark", {})
    assert "not recorded how post.ark was made: " in caplog.text
    assert "No space left" in caplog.text


def test_a_record_is_of_the_archive_that_was_written_last(command):
    pool(command, "ark:seg.ark", "--threshold 0.7")
    pool(command, "ark:seg", "--threshold 0.8")  # has the same record
    assert Pooling.of_vectors("ark:seg") == Pooling(0.8, fuse=False)
    assert Pooling.of_vectors("ark:seg.ark") is None
    pool(command, "ark:seg.ark", "--threshold 0.6")
    with TableWriter("ark:seg.ark", "vector") as table:  # by something that keeps no record
        table.write("a", np.zeros(8, np.float32))
    assert not Path("seg.ark.json").exists()
    assert Pooling.of_vectors("ark:seg.ark") is None


def test_a_refused_command_leaves_the_record(command):
    pool(command, "ark:seg.ark", "--threshold 0.7")
    assert command("pool-segments ark:/dev/null ark:seg.ark").returncode == 1
    assert Pooling.of_vectors("ark:seg.ark") == Pooling(0.7, fuse=False)


def test_an_archive_that_was_moved_with_its_record_keeps_it(command):
    pool(command, "ark:seg.ark", "--threshold 0.7")
    for end in ("", ".json"):
        Path(f"seg.ark{end}").rename(f"other.ark{end}")
    assert Pooling.of_vectors("ark:other.ark") == Pooling(0.7, fuse=False)


def test_an_archive_on_another_disk_has_its_record_there(command):
    Path("disk").mkdir()
    Path("seg.ark").symlink_to("disk/real.ark")
    pool(command, "ark,scp:seg.ark,seg.scp", "--threshold 0.7")
    assert set(os.listdir("disk")) == {"real.ark", "real.ark.json"}
    assert record_of("seg.ark") == Path("disk/real.ark.json").resolve()
    assert Pooling.of_vectors("scp:seg.scp") == Pooling(0.7, fuse=False)


@pytest.mark.parametrize("stream", ["ark:-", "'ark:| cat >/dev/null'", "ark:/dev/null"])
def test_a_stream_has_none(command, stream):
    before = set(os.listdir())
    pool(command, stream)
    assert set(os.listdir()) == before
    assert read_record("/dev/null", Record, "pool again") is None
    assert not Path("/dev/null.ark.json").exists()


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_directory_appears_where_an_archive_is_written(command, jobs):
    before = {*os.listdir(), "seg.ark", "seg.ark.json", "seg.scp"}
    Path("log").write_text("a file, and nobody else's business")
    lines = Path("post.scp").read_text().splitlines(keepends=True)
    Path("post.scp").write_text("".join([lines[0], "b nowhere.ark:3\n", *lines[2:]]))
    said = command(f"pool-segments scp,p:post.scp ark,scp:seg.ark,seg.scp --nj {jobs}")
    assert said.returncode == 0, said.stderr
    assert set(os.listdir()) == before | {"log"}
    assert said.stderr.count("warning: skipped: ") == 1  # also where a worker has told it to its log
    assert len(dict(read_table("scp:seg.scp", "vector"))) == 3


@pytest.mark.parametrize(
    ("out", "made"),
    [("score.json", {"score.json"}), ("sub/x/s.json", {"sub"}), ("link", {"link"}), ("/dev/null", set())],
)
def test_scores_in_a_file_of_their_own_come_alone(command, out, made):
    before = set(os.listdir())
    Path("target").write_text("")
    if out == "link":
        Path("link").symlink_to("target")
    if "/" in out and out[0] != "/":
        Path(out).parent.mkdir(parents=True)
    assert command(f"score data --post ark:post.ark --out {out}").returncode == 0
    assert set(os.listdir()) == before | made | {"target"}
    assert not Path("/dev/null").is_file()
    if out == "link":
        assert Path("link").is_symlink()
        assert "tracks" in json.loads(Path("target").read_text())
