"""A table through a function in shards: the bytes of a single job, and what a failure leaves is gone on with."""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import exclusive
from lstmgenre.parallel.run import ATTEMPTS, this_process
from lstmgenre.parallel.table import map_table
from lstmgenre.tables import TableWriter, read_map, write_map
from tests import shards

pytestmark = pytest.mark.system

NAMES = [f"u{k}" for k in range(7)]  # a part each; for three jobs: u0 u1 | u2 u3 | u4 u5 u6
GATE = "if [ -e gate ]; then tail -c +4 u2.ark; else exit 1; fi |"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """in.scp, in which u2 cannot be read while there is no file `gate`, and a file `model`."""
    monkeypatch.chdir(tmp_path)
    matrices = {name: np.full((3, 2), k, np.float32) for k, name in enumerate(NAMES)}
    for archive, names in (("in", NAMES), ("u2", ["u2"])):
        with TableWriter(f"ark,scp:{archive}.ark,{archive}.scp") as table:
            for name in names:
                table.write(name, matrices[name])
    change_line("u2", GATE)
    Path("model").write_text("weights")


def change_line(name, line):
    write_map("in.scp", {**read_map("in.scp"), name: line})


def run(jobs=3, rspecifier="scp:in.scp", **options):
    """The names that were asked for, in order."""
    Path("asked").write_text("")
    # In this process, one after the other: what other engines do differently is test_parallel's.
    how = {"jobs": jobs, "engine": this_process, "made_with": ["model"]}
    map_table(shards.scaled, {"factor": 2.0, **options}, rspecifier, "ark,scp:out.ark,out.scp", **how)
    return Path("asked").read_text().split()


def written():
    return Path("out.ark").read_bytes(), Path("out.scp").read_bytes()


def kept():
    return sorted(file.name for file in Path("out.ark.shards").glob("*.ark"))


@pytest.mark.parametrize("jobs", [2, 3, 99])
def test_shards_give_the_bytes_of_a_single_job(jobs):
    Path("gate").touch()
    assert run(jobs=1) == NAMES
    alone = written()
    assert run(jobs) == NAMES
    assert written() == alone
    assert not Path("out.ark.shards").exists()


def test_a_shard_that_fails_time_and_again_is_told_and_the_rest_is_kept():
    Path("gate").touch()
    with pytest.raises(DataError, match="job 2 of 3 failed time and again: RuntimeError: u3 is too much"):
        run(lost="u3")
    assert not Path("out.scp").exists()
    assert not Path("out.ark").exists()
    assert len(before := kept()) == 6
    with pytest.raises(DataError, match="u3 is too much"):
        run(lost="u3")
    assert Path("asked").read_text().split() == ["u2", *["u3"] * ATTEMPTS]  # u2 is what a command gives
    assert set(before) <= set(kept())


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda: None, NAMES[2:4]),
        (lambda: change_line("u6", read_map("in.scp")["u5"]), ["u2", "u3", "u6"]),
        (lambda: change_line("u6", f"{read_map('in.scp')['u6']}[0:1]"), ["u2", "u3", "u6"]),
        (lambda: os.utime("in.ark", (1, 1)), NAMES),
        (lambda: Path("model").write_text("other weights"), NAMES),
        (lambda: Path("model").unlink(), NAMES),
    ],
    ids=["nothing", "a line", "a range", "features", "the model", "no model"],
)
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_same_command_makes_what_is_missing_and_what_was_made_from_something_else(change, again, jobs):
    with pytest.raises(DataError, match="exit status 1"):
        run()
    assert len(kept()) == 5
    change()
    Path("gate").touch()
    assert run(jobs) == again
    assert not Path("out.ark.shards").exists()
    in_shards = written()
    assert run(jobs=1) == NAMES
    assert written() == in_shards


def test_a_single_job_that_was_killed_is_gone_on_with():
    with pytest.raises(DataError, match="exit status 1"):
        map_table(shards.scaled, {"factor": 2.0}, "scp:in.scp", "ark:out.ark")
    assert len(kept()) == 2
    Path("gate").touch()
    Path("asked").write_text("")
    map_table(shards.scaled, {"factor": 2.0}, "scp:in.scp", "ark:out.ark")
    assert Path("asked").read_text().split() == NAMES[2:]


@pytest.mark.parametrize("other", [{"factor": 3.0}, {"rspecifier": "scp,s:in.scp"}])
def test_another_command_makes_all(other):
    with pytest.raises(DataError, match="exit status 1"):
        run()
    Path("gate").touch()
    assert run(**other) == NAMES
    assert not Path("out.ark.shards").exists()


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace(" ", "  "),
        lambda text: "".join(f" {line}\n" for line in text.splitlines()),
    ],
    ids=["tabs", "two spaces", "a space before"],
)
def test_features_that_were_made_again_are_noticed_however_the_list_is_written(rewrite):
    write_map("in.scp", {**read_map("in.scp"), "u2": "gone.ark:3"})
    Path("in.scp").write_text(rewrite(Path("in.scp").read_text()))
    with pytest.raises(DataError, match="No such file"):
        run()
    Path("u2.ark").rename("gone.ark")
    os.utime("in.ark", (1, 1))
    assert run() == NAMES


def test_what_a_command_gives_is_made_again():
    lines = read_map("in.scp")
    change_line("u6", f"tail -c +{int(lines['u6'].split(':')[1]) + 1} in.ark | head -c 39 |")
    with pytest.raises(DataError, match="exit status 1"):
        run()
    assert len(kept()) == 5
    Path("gate").touch()
    assert run() == ["u2", "u3", "u6"]


@pytest.mark.parametrize("jobs", [1, 3, 7])
@pytest.mark.parametrize(
    ("options", "order", "said"),
    [
        ("scp", [0, 1, 3, 4, 5, 6, 1], "line 7.*|u1: the key comes twice"),
        ("scp,s", [6, 5, 4, 3, 1, 0], "u5 comes after u6: not in C order"),
        ("scp", [0, 1, 3, 4, 5, None], r"^in\.scp: line 6: a key without a value"),
    ],
)
def test_the_rules_of_a_list_hold_over_all_shards(jobs, options, order, said):
    lines = Path("in.scp").read_text().splitlines(keepends=True)
    Path("in.scp").write_text("".join("u7\n" if k is None else lines[k] for k in order))
    with pytest.raises((DataError, FormatError), match=said):
        run(jobs, f"{options}:in.scp")
    assert not Path("out.scp").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_table_of_two_widths_is_refused(jobs):
    with TableWriter("ark,scp:wide.ark,wide.scp") as table:
        table.write("u7", np.zeros((3, 5), np.float32))
    write_map("in.scp", {"u0": read_map("in.scp")["u0"], **read_map("wide.scp")})
    with pytest.raises(DataError, match=r"u7: 5 .*features of two kinds"):
        run(jobs)


def test_one_run_at_a_time_writes_an_archive():
    Path("gate").touch()
    with exclusive(Path("out.ark.shards")), pytest.raises(DataError, match="another run writes here"):
        run()
    assert run() == NAMES


def test_what_somebody_else_keeps_in_the_folder_stays():
    Path("gate").touch()
    Path("out.ark.shards").mkdir()
    Path("out.ark.shards/mine.ark").touch()
    assert run() == NAMES
    assert [path.name for path in Path("out.ark.shards").iterdir()] == ["mine.ark"]


def test_workers_that_are_not_there_cost_nothing():
    Path("gate").touch()
    run()
    Path("gate").unlink()
    before = written()
    with pytest.raises(DataError, match="exit status 1"):
        run(factor=3.0)
    parts = kept()
    assert len(parts) == 5

    @contextmanager
    def absent(directory):
        raise DataError("nobody answers")
        yield

    how = {"jobs": 2, "engine": absent, "made_with": ["model"]}
    with pytest.raises(DataError, match="nobody answers"):
        map_table(shards.scaled, {"factor": 4.0}, "scp:in.scp", "ark,scp:out.ark,out.scp", **how)
    assert written() == before
    assert kept() == parts
    Path("gate").touch()
    assert run(factor=3.0) == NAMES[2:4]
    assert not Path("out.ark.shards").exists()


def test_a_folder_of_shards_that_is_a_link_is_refused(tmp_path):
    Path("elsewhere").mkdir()
    Path("out.ark.shards").symlink_to("elsewhere")
    Path("gate").touch()
    with pytest.raises(DataError, match=r"out\.ark\.shards: a link"):
        run()
    assert list(Path("elsewhere").iterdir()) == []


def test_nothing_but_logs_is_left_where_nothing_was_done():
    for name in NAMES:
        change_line(name, "exit 1 |")
    with pytest.raises(DataError, match="exit status 1"):
        run()
    assert sorted(path.name for path in Path("out.ark.shards").iterdir()) == [f"out.{k}.log" for k in (1, 2, 3)]


def test_parts_of_which_nothing_is_left_are_fine_but_not_all_of_them():
    assert run(rspecifier="scp,p:in.scp", jobs=7) == [name for name in NAMES if name != "u2"]
    for name in NAMES:
        change_line(name, GATE)
    with pytest.raises(DataError, match="holds nothing"):
        run(rspecifier="scp,p:in.scp")


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize(
    ("content", "said"), [(b"", "holds nothing"), (b"u0 \xff.ark\n", "not UTF-8"), (b"u0 a\0b.ark:3\n", "null byte")]
)
def test_a_list_that_is_empty_or_damaged_is_one_line(jobs, content, said):
    Path("in.scp").write_bytes(content)
    with pytest.raises((DataError, FormatError), match=said):
        run(jobs)
