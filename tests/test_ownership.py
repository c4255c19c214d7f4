"""Directories of strangers: nothing is written through a link in them, nothing that was there is lost."""

import itertools
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lstmgenre import files
from lstmgenre.cli.app import app
from lstmgenre.datadir import DataDir, checks, mend
from lstmgenre.errors import DataError
from lstmgenre.files import atomic_directory, directories, open_own, own_directory
from lstmgenre.files.temporary import umask
from lstmgenre.parallel import dask, run, slurm
from lstmgenre.scattering import extract, scat_json
from lstmgenre.tables import NO_PIPES, read_table
from lstmgenre.tables.opening import forbids_pipes, pipes_forbidden
from tests import shards
from tests.banks import SMALL

TREASURE = "not yours\n"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def features_of(data):
    return dict(read_table(f"scp:{data.path}/feats.scp"))


@pytest.fixture
def treasure(tmp_path):
    """A file of somebody's, and one in a directory of his."""
    (tmp_path / "his").mkdir()
    for path in (tmp_path / "treasure", tmp_path / "his/treasure"):
        path.write_text(TREASURE)
    yield tmp_path / "treasure"
    assert (tmp_path / "treasure").read_text() == TREASURE
    assert [path.name for path in (tmp_path / "his").iterdir()] == ["treasure"]
    assert (tmp_path / "his/treasure").read_text() == TREASURE


def plant(link, target):
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def pipe(path, _):
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def extract_scat(data, *options):
    scat_json.write(data.path.parent / "bank", SMALL)
    return invoke("extract-scat", data.path, "--bank", data.path.parent / "bank/scat.json", *options)


# What a link of each name does to a command that writes there.
OF_EXTRACTION = ["log/extract-scat.log", "log"]
REPLACED = [
    *("log/extract-scat.json", "log/extract_scat.1.log", "data/scat.1.journal", "data/scat.1.ark", "data/scat.json"),
    *("data/scat_paths.txt", "feats.scp", "utt2dur", "utt2num_frames"),
]


@pytest.mark.parametrize("put", [plant, pipe], ids=["link", "named pipe"])
@pytest.mark.parametrize("name", OF_EXTRACTION)
def test_what_would_be_written_through_is_refused(data, treasure, name, put):
    put(data.path / name, treasure.parent / "his" if name == "log" else treasure)
    refused = extract_scat(data)
    assert isinstance(refused.exception, DataError), refused.stderr
    assert name in str(refused.exception)
    assert not (data.path / "feats.scp").exists()


@pytest.mark.parametrize("put", [plant, pipe], ids=["link", "named pipe"])
@pytest.mark.parametrize("name", ["data/scat.1.lock", "data/scat.1.ark.part", "data/scat.1.ark"])
def test_what_has_the_name_of_an_archive_is_not_taken_for_one(data, treasure, name, put):
    put(data.path / name, treasure)
    done = extract_scat(data)
    assert done.exit_code == 0, done.exception
    assert not os.path.lexists(data.path / name)
    assert sorted(features_of(data)) == data.utterances


@pytest.mark.parametrize("put", [plant, pipe], ids=["link", "named pipe"])
@pytest.mark.parametrize("name", ["scat.1.lock", "scat.1.ark.part"])
def test_an_archive_that_was_begun_is_not_written_through_a_link(data, treasure, name, put, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(extract, "run", lambda *arguments: sys.exit("killed"))
        extract_scat(data)
    put(data.path / "data" / name, treasure)
    refused = extract_scat(data)
    assert isinstance(refused.exception, DataError), refused.stderr
    assert name in str(refused.exception)


@pytest.mark.parametrize("dangling", [False, True])
def test_a_file_takes_the_place_of_a_link(data, treasure, dangling):
    files_of_text = {"utt2dur", "utt2num_frames", "feats.scp", "data/scat.json"}  # which are read, too
    target = treasure.with_name("nowhere") if dangling else treasure
    for name in REPLACED:
        if dangling or name not in files_of_text:
            plant(data.path / name, target)
    done = extract_scat(data)
    assert done.exit_code == 0, done.exception
    assert not any((data.path / name).is_symlink() for name in REPLACED)
    assert not treasure.with_name("nowhere").exists()
    assert sorted(features_of(data)) == data.utterances


def test_data_may_lie_on_another_disk(data, tmp_path):
    (tmp_path / "disk").mkdir()
    (data.path / "data").symlink_to(tmp_path / "disk")
    (tmp_path / "there").symlink_to(data.path)
    extract.extract(DataDir.read(tmp_path / "there"), SMALL)
    assert (tmp_path / "disk/scat.1.ark").is_file()
    assert sorted(features_of(data)) == data.utterances


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "pipe", "directory"])
@pytest.mark.parametrize("mode", ["a", "ab", "w", "wb"])
def test_a_file_of_ours_is_opened_through_nothing(tmp_path, treasure, kind, mode):
    path = tmp_path / "x.log"
    if kind == "hard link" and "a" in mode:
        return  # nothing tells it from a file of ours
    {
        "link": lambda: path.symlink_to(treasure),
        "link to nothing": lambda: path.symlink_to(tmp_path / "nothing"),
        "hard link": lambda: path.hardlink_to(treasure),
        "pipe": lambda: os.mkfifo(path),
        "directory": path.mkdir,
    }[kind]()
    if "a" in mode or kind == "directory":
        with pytest.raises(DataError, match=r"x\.log"):
            open_own(path, mode)
    else:
        with open_own(path, mode) as stream:
            stream.write(b"ours" if "b" in mode else "ours")
        assert path.read_text() == "ours"
    assert not (tmp_path / "nothing").exists()


def test_a_pipe_that_is_read_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "x.log")
    reader = os.open(tmp_path / "x.log", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(DataError, match="no regular file"):
        open_own(tmp_path / "x.log")
    os.close(reader)


def test_a_file_of_ours_is_written_on(tmp_path):
    for text in ("one\n", "two\n"):
        with open_own(tmp_path / "x.log") as stream:
            stream.write(text)
    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"
    with open_own(tmp_path / "x.log", "w") as stream:
        stream.write("three\n")
    assert (tmp_path / "x.log").read_text() == "three\n"
    assert stat.S_IMODE((tmp_path / "x.log").stat().st_mode) == 0o666 & ~umask()


def test_a_directory_of_ours_is_no_link(tmp_path, treasure):
    (tmp_path / "log").symlink_to(tmp_path / "his")
    with pytest.raises(DataError, match="a link"):
        own_directory(tmp_path / "log")
    with pytest.raises(DataError, match="treasure"):
        own_directory(treasure)
    assert own_directory(tmp_path / "a/log").is_dir()


def test_temporary_files_that_a_stranger_has_planted_are_left_alone(tmp_path, treasure):
    (tmp_path / ".x.1.tmp").symlink_to(treasure)
    (tmp_path / ".x.2.tmp").symlink_to(tmp_path / "his")
    os.mkfifo(tmp_path / ".x.3.tmp")
    with files.atomic_output(tmp_path / "x") as stream:
        stream.write("whole")
    assert (tmp_path / "x").read_text() == "whole"


# Mending --------------------------------------------------------------------------------------------------------------


def damage(path):
    (path / "utt2genre").write_text("".join(reversed((path / "utt2genre").read_text().splitlines(keepends=True))))
    return (path / "utt2genre").read_bytes()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_mending_writes_through_no_link(data, tmp_path, treasure, kind):
    if kind == "file":
        plant(data.path / ".backup/utt2genre", treasure)
    else:
        plant(data.path / ".backup", tmp_path / "his")
    broken = damage(data.path)
    mend(data.path)
    assert (data.path / ".backup.1/utt2genre").read_bytes() == broken
    assert (data.path / "utt2genre").read_bytes() == bytes(b"".join(sorted(broken.splitlines(keepends=True))))


def test_what_was_kept_stays_however_often_it_is_mended(data):
    kept = []
    for _ in range(3):
        kept.append(damage(data.path))
        (data.path / "utt2genre").write_bytes(kept[-1] + b"z-1 tone\n")
        mend(data.path)
        mend(data.path)  # which finds nothing
    backups = [data.path / name for name in (".backup", ".backup.1", ".backup.2")]
    assert [(path / "utt2genre").read_bytes() for path in backups] == [each + b"z-1 tone\n" for each in kept]
    assert not (data.path / ".backup.3").exists()


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 3, 5, 7, 9])
def test_mending_that_is_killed_keeps_the_old_files(data, after):
    old = {path.name: path.read_bytes() for path in data.path.iterdir() if path.is_file()}
    old["utt2genre"] = damage(data.path)
    renames = [0]

    def killed_at(*arguments):
        renames[0] += 1
        if renames[0] == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.rename(*arguments)

    if not (child := os.fork()):
        os.replace = killed_at
        mend(data.path)
        os._exit(0)
    os.waitpid(child, 0)
    mend(data.path)
    kept = {}
    for backup in sorted(data.path.glob(".backup*")):
        for path in backup.glob("[!.]*"):
            kept.setdefault(path.name, path.read_bytes())
    assert kept == old
    assert checks.validate(DataDir.read(data.path)) == []


# Nothing is lost before the new work can start ------------------------------------------------------------------------


@pytest.fixture
def extracted(data):
    """Features of `data` in two archives, of which the audio then changes so that they have to be made again."""
    extract.extract(data, SMALL, jobs=2, engine=run.this_process)
    audio = Path(data.wav_scp["a1-t4"])
    audio.write_bytes(audio.read_bytes()[:-2] + b"\1\1")
    return {path: path.read_bytes() for path in data.path.rglob("*") if path.is_file() and path.parent.name != "log"}


SBATCH = "#!/bin/sh\necho 'sbatch: error: invalid partition' >&2; exit 1\n"


@pytest.mark.parametrize("backend", ["--backend dask --scheduler tcp://127.0.0.1:1", "--backend slurm", "refused"])
def test_a_cluster_that_takes_no_job_costs_nothing(data, extracted, backend, monkeypatch, tmp_path):
    monkeypatch.setattr(dask, "_ANSWER_SECONDS", 0.1)
    (tmp_path / "bin").mkdir()
    if backend == "refused":
        for name in ("sbatch", "srun", "squeue", "sacct"):
            (tmp_path / "bin" / name).write_text(SBATCH)
            (tmp_path / "bin" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
        backend = "--backend slurm"
    else:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # this machine may have a Slurm
    refused = extract_scat(data, *backend.split(), "--nj", "1")
    assert isinstance(refused.exception, DataError), refused.exception
    for path, content in extracted.items():
        assert path.read_bytes() == content
    assert not list((data.path / "log").glob("slurm*"))
    assert extract_scat(data, "--nj", "1").exit_code == 0
    assert sorted(features_of(data)) == data.utterances


def test_a_failure_leaves_what_was_there(data, extracted):
    for name in data.utterances:
        Path(data.wav_scp[name]).write_bytes(b"not audio")
    assert isinstance(extract_scat(data).exception, DataError)
    for path, content in extracted.items():
        assert path.read_bytes() == content


# Slurm ----------------------------------------------------------------------------------------------------------------


@pytest.mark.system
def test_results_of_slurm_come_from_a_private_directory_that_goes_at_the_end(tmp_path, treasure):
    log = tmp_path / "log"
    (log / "slurm").mkdir(parents=True)
    (log / "slurm/1_0_result.pkl").write_bytes(b"planted")
    with slurm.jobs(log, "local") as submit:
        (private,) = [path for path in log.iterdir() if path.name != "slurm"]
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        job = submit(os.getppid)
        assert job.paths.folder == private
        assert job.result() > 0
    assert [path.name for path in log.iterdir()] == ["slurm"]
    (tmp_path / "link").symlink_to(tmp_path / "his")
    with pytest.raises(DataError, match="a link"), slurm.jobs(tmp_path / "link", "local"):
        pass


# --no-pipes -----------------------------------------------------------------------------------------------------------


def seen(no_pipes, tmp_path):
    return run._run_shard(shards.where, str(tmp_path), no_pipes, 1, str(tmp_path / "log/1.log"))[1]


@pytest.mark.parametrize(
    ("client", "worker", "holds"), [(True, "", "1"), (True, "1", "1"), (False, "1", "1"), (False, "", "")]
)
def test_the_stricter_of_client_and_worker_forbids_commands(tmp_path, monkeypatch, client, worker, holds):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(NO_PIPES, worker)
    assert seen(client, tmp_path) == holds
    assert os.environ[NO_PIPES] == worker  # for the next client


def test_shards_side_by_side_do_not_lift_what_forbids_commands_to_another(monkeypatch):
    monkeypatch.delenv(NO_PIPES, raising=False)
    first, second = pipes_forbidden(True), pipes_forbidden(True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert forbids_pipes()
    second.__exit__(None, None, None)
    assert not forbids_pipes()
    assert NO_PIPES not in os.environ


# Directories that appear whole ----------------------------------------------------------------------------------------

KINDS = [{"a", "b"}, {"a"}]


def write_directory(path, text, names=("a", "b")):
    with atomic_directory(path, KINDS, "is something else") as new:
        for name in names:
            (new / name).write_text(text)


def read_directory(path):
    return {file.name: file.read_text() for file in path.iterdir()}


def killed_at(event, work):
    """Do the work in a process that is killed at the file event of that number; False if it came to its end before."""
    if not (child := os.fork()):
        seen = itertools.count(1)

        def count(name, _):
            if name.startswith(("open", "os.", "shutil.", "ctypes.")) and next(seen) == event:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False], ids=["exchanged", "renamed"])
@pytest.mark.parametrize("before", [None, ("a", "b"), ("a",)])
def test_a_directory_is_whole_at_whatever_step_its_writer_is_killed(tmp_path, monkeypatch, exchange, before):
    if not exchange:
        monkeypatch.setattr(directories, "exchange", lambda *_: False)
    out = tmp_path / "out"
    old, new = (None if before is None else dict.fromkeys(before, "old")), {"a": "new", "b": "new"}
    steps = 0
    for event in itertools.count(1):
        if before:
            write_directory(out, "old", before)
        if not killed_at(event, lambda: write_directory(out, "new")):
            break
        steps += 1
        found = read_directory(out) if out.exists() else None
        kept = tmp_path / ".out.old"
        if found is None and before:
            assert not exchange, f"nothing at step {event}"
            assert read_directory(kept) == old
        else:
            assert found in (old, new), f"at step {event}"
        with pytest.raises(RuntimeError), atomic_directory(out, KINDS):  # the next run brings it back, and then fails
            raise RuntimeError
        assert out.exists() == bool(before or found)
        assert found is None or read_directory(out) == found
        write_directory(out, "newer")
        assert read_directory(out) == {"a": "newer", "b": "newer"}
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        shutil.rmtree(out)
    assert steps > 6
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_directory(out) == new


@pytest.mark.parametrize(
    "names",
    [
        *(["b"], ["a", "c"], ["a", "b", "notes"], ["a", ".hidden"], ["a", "b", "log/"], ["a/", "b"]),
    ],
    ids=str,
)
def test_a_directory_of_something_else_is_refused_and_stays(tmp_path, names):
    out = tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).mkdir() if name.endswith("/") else (out / name).write_text("dear")
    with pytest.raises(DataError, match="out: is something else"):
        write_directory(out, "new")
    assert sorted(path.name for path in out.iterdir()) == sorted(name.strip("/") for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_comes_into_a_directory_while_it_is_written_anew_is_kept(tmp_path):
    out = tmp_path / "out"
    write_directory(out, "old")
    with pytest.raises(DataError, match="something else"), atomic_directory(out, KINDS, "is something else"):
        (out / "notes").write_text("dear")
    assert read_directory(out) == {"a": "old", "b": "old", "notes": "dear"}
    (out / "notes").unlink()
    with pytest.raises(KeyboardInterrupt), atomic_directory(out, KINDS):
        raise KeyboardInterrupt
    assert read_directory(out) == {"a": "old", "b": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_is_written_where_a_link_of_its_name_leads_and_in_the_place_of_an_empty_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for text in ("one", "two"):
        write_directory(tmp_path / "link", text)
        assert read_directory(tmp_path / "disk") == {"a": text, "b": text}
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o777 & ~umask()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: is something else"):
        write_directory(tmp_path / "file", "x")
    with pytest.raises(DataError, match="below: cannot be written"):
        write_directory(tmp_path / "file/below", "x")


def test_an_error_is_blamed_on_the_file_that_it_is_about(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"), atomic_directory(tmp_path / "out"):
        (tmp_path / "nowhere").read_text()
    with pytest.raises(DataError, match="out: cannot be written"), atomic_directory(tmp_path / "out") as new:
        (new / "no/where").write_text("")
    with pytest.raises(DataError, match="out: cannot be written: No space"), atomic_directory(tmp_path / "out"):
        Path("/dev/full").write_text("x")
    assert list(tmp_path.iterdir()) == []
