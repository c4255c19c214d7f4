"""Standard streams that are closed or full, and disks that are full: nothing goes where it does not belong."""

import errno
import logging
import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.audio import Samples, load
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.files import atomic_output
from lstmgenre.nnet1 import init
from lstmgenre.parallel.run import shard_log
from lstmgenre.scattering import scat_json
from lstmgenre.tables import TableWriter, open_output
from tests.banks import SMALL


@pytest.fixture(autouse=True)
def posteriors(here):
    with TableWriter("ark,scp:post.ark,post.scp") as table:
        for name in "ab":
            table.write(name, np.full((3, 2), 0.5, np.float32))
    init.dnn(3, [4], 2, seed=1).write("final.nnet")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("pool-segments ark:nowhere ark:-", 1),
        ("copy-feats scp:nowhere ark,t:-", 1),
        ("forward final.nnet ark:post.ark ark:-", 1),  # of another width
        ("pool-segments --nonsense ark:post.ark ark:-", 2),
        ("prep-data demo file/below", 1),
    ],
)
def test_errors_never_go_to_standard_output(shell, line, status):
    Path("file").touch()
    done = shell(f"lstmgenre {line} 2>&- >out; echo $?")
    assert int(done.stdout) == status
    assert Path("out").read_bytes() == b""


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_is_written_is_the_same_whatever_is_closed(shell, closed):
    line = "lstmgenre --verbose pool-segments scp:post.scp ark,scp:{0}.ark,{0}.scp --threshold 0.7"
    assert shell(line.format("open")).returncode == 0
    done = shell(f"{line.format('shut')} {closed}")
    assert (done.returncode, done.stdout) == (0, "")
    assert Path("shut.ark").read_bytes() == Path("open.ark").read_bytes()
    assert Path("shut.scp").read_text() == Path("open.scp").read_text().replace("open", "shut")


def test_what_goes_to_standard_output_is_the_same_though_no_error_can(shell):
    line = "lstmgenre copy-feats scp:post.scp ark,t:-"
    assert shell(f"{line} 2>&-").stdout == shell(line).stdout != ""


@pytest.mark.parametrize("shut", [">&-", ">/dev/full"])
@pytest.mark.parametrize("line", ["info-nnet final.nnet", "--help", "--version", "copy-feats ark:post.ark ark:-"])
def test_results_that_go_nowhere_are_an_error(shell, line, shut):
    done = shell(f"lstmgenre {line} {shut}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("lstmgenre: error: ")
    assert ("closed" if shut == ">&-" else "No space left") in done.stderr


def test_a_full_standard_error_changes_no_status(shell):
    assert shell("lstmgenre info-nnet nowhere 2>/dev/full").returncode == 1
    done = shell("lstmgenre --verbose pool-segments ark:post.ark ark,t:- 2>/dev/full")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 2


def test_a_closed_standard_input_is_said(shell):
    done = shell("lstmgenre pool-segments ark:- ark:o.ark <&-")
    assert done.returncode == 1
    assert "standard input is closed" in done.stderr
    assert not Path("o.ark").exists()


def test_a_reader_that_has_gone_is_told_nothing(shell):
    done = shell("lstmgenre copy-feats ark:post.ark ark,t:- | true; exit ${PIPESTATUS[0]}")
    assert done.returncode in (0, 128 + signal.SIGPIPE)
    assert done.stderr.replace("lstmgenre: copied 2 feature matrices\n", "") == ""


# Full disks -----------------------------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 30, 200])
def test_a_log_that_a_full_disk_does_not_take_stops_nothing(here, size):
    def work(fails):
        with shard_log(here / "log/a.log", "work"):
            logging.getLogger("lstmgenre").info("%s", 10_000 * "half done ")
            if fails:
                raise DataError("bad data")
            return "done"

    with files_of_at_most(size):
        assert work(False) == "done"
        with pytest.raises(DataError, match="bad data"):
            work(True)
    assert (here / "log/a.log").stat().st_size == size


def error_of(done):
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("lstmgenre: warning")]
    return error


def test_a_corpus_that_a_disk_does_not_hold_is_one_line(shell):
    error = error_of(shell("ulimit -f 64; lstmgenre prep-data demo data"))
    assert "data/audio/" in error
    assert "cannot be written: File too large" in error
    assert not [path for path in Path("data/audio").rglob("*") if path.is_file()]
    assert not Path("data/train").exists()


def test_a_full_place_for_temporary_files_is_what_is_blamed(data, shell, tmp_path):
    (tmp_path / "temporary").mkdir()
    data.wav_scp = {name: f"cat {file} |" for name, file in data.wav_scp.items()}
    data.write()
    scat_json.write(tmp_path / "bank", SMALL)
    line = "TMPDIR=$PWD/temporary lstmgenre extract-scat data --bank bank/scat.json"
    error = error_of(shell(f"ulimit -f 40; {line}"))
    assert "temporary: cannot be written: File too large: no place for temporary files; set TMPDIR" in error
    assert "scat.1.ark" not in error
    assert not (data.path / "feats.scp").exists()
    assert shell(line).returncode == 0
    assert DataDir.read(data.path).feats.keys() == data.wav_scp.keys()


def test_long_tracks_and_commands_name_the_place_too(tmp_path, monkeypatch):
    monkeypatch.setattr("lstmgenre.audio.tracks._IN_MEMORY", 1000)
    with files_of_at_most(5000), pytest.raises(OSError, match="set TMPDIR to") as caught:
        Samples(np.zeros(1000, np.float32) for _ in range(100))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, os.environ.get("TMPDIR", "/tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    for use in (lambda: load("cat x.wav |"), lambda: open_output("| cat").__enter__()):
        with pytest.raises(OSError, match="gone"):
            use()


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_file_that_a_disk_does_not_hold_is_blamed_by_its_name(mode):
    large = "x" * 1000 if mode == "w" else b"x" * 1000
    refused = pytest.raises(DataError, match=r"^out: cannot be written: File too large")
    with files_of_at_most(100), refused, atomic_output("out", mode) as stream:
        stream.write(large)
    assert not [path for path in Path().iterdir() if "out" in path.name]
