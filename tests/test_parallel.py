"""Shards in processes of their own: every result, a log each, and the first error by its log."""

import logging
import os

import pytest
import threadpoolctl

from lstmgenre import parallel
from lstmgenre.errors import DataError


def _square(number):
    logging.getLogger("lstmgenre.test").info("squaring %d", number)
    if number < 0:
        raise DataError(f"{number}: is negative")
    return number**2


def _who(_):
    import numpy  # noqa: F401 (its BLAS is what threadpoolctl looks at)

    return os.getpid(), max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=1)


def test_every_shard_gives_its_result_and_its_log(tmp_path):
    results = parallel.run(_square, [3, 1, 2], 2, str(tmp_path / "log" / "square.JOB.log"))
    assert sorted(results) == [1, 4, 9]
    lines = (tmp_path / "log" / "square.1.log").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert any(line.startswith("# Started at ") for line in lines)
    assert "INFO (lstmgenre.test) squaring 3" in lines
    assert lines[-1].startswith("# Ended (code 0) at ")


def test_a_failing_shard_is_raised_with_its_log(tmp_path):
    log = str(tmp_path / "square.JOB.log")
    with pytest.raises(DataError, match=r"-5: is negative \(log: .*square\.2\.log\)"):
        list(parallel.run(_square, [3, -5], 2, log))
    assert "# Ended (code 1) at " in (tmp_path / "square.2.log").read_text()


def test_workers_are_other_processes_with_one_thread(tmp_path):
    results = list(parallel.run(_who, range(4), 2, str(tmp_path / "JOB.log")))
    assert os.getpid() not in {pid for pid, _ in results}
    assert {threads for _, threads in results} == {1}
