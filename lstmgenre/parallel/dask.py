"""The engine of a dask.distributed cluster that runs already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lstmgenre.errors import DataError
from lstmgenre.parallel.engine import Job, Submit

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10  # for the scheduler to answer


@contextmanager
def workers(directory: Path, scheduler: str) -> Iterator[Submit]:
    """The workers of a dask.distributed cluster, best of one thread each; they end what they have begun."""
    try:
        from distributed import Client
    except ImportError as error:
        raise DataError("the backend dask needs the package distributed: pip install 'lstmgenre[dask]'") from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of its troubles is told by us
    try:
        client = Client(scheduler, set_as_default=False, timeout=_ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        raise DataError(f"{scheduler}: no dask scheduler answers: start one, or check the address") from error
    with client:
        logger.info("%s: a dask cluster of %d workers", scheduler, len(client.scheduler_info(n_workers=-1)["workers"]))
        jobs: list[Any] = []

        def submit(function: Callable[..., Any], *args: Any) -> Job:
            jobs.append(client.submit(function, *args, pure=False))
            return jobs[-1]

        try:
            yield submit
        finally:
            if client.status != "running":
                raise DataError(f"{scheduler}: the dask scheduler is lost: start it, and give the same command again")
            client.cancel(jobs)
