"""What test_parallel runs over its shards; a module that loads nothing heavy, for every worker loads it."""

import logging
import os
import signal

import threadpoolctl

from lstmgenre.errors import DataError
from lstmgenre.tables.opening import NO_PIPES


def square(number):
    logging.getLogger("lstmgenre.test").info("squaring %d", number)
    if number < 0:
        raise DataError(f"{number}: is negative")
    return number**2


def where(_):
    return os.getcwd(), os.environ[NO_PIPES]


def who(_):
    import numpy  # noqa: F401 (its BLAS is what threadpoolctl looks at)

    return os.getpid(), max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=1)


def count(name):
    """How often a shard has come here, from a file that gets a byte a time."""
    with open(name, "a") as stream:
        stream.write(".")
        return stream.tell()


def killed(shard):
    """A shard (file, times) that is killed as often."""
    name, times = shard
    logging.getLogger("lstmgenre.test").info("trying %s", name)
    if count(name) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def hungry(shard):
    """A shard (file, times) that runs out of memory as often."""
    name, times = shard
    if count(name) <= times:
        raise MemoryError("no room for an array")
    return name


def refused(name):
    count(name)
    raise DataError(f"{name}: is no good")


def scaled(entries, factor, lost=""):
    """Entries times a factor; their names go to the file `asked`, and the one that is `lost` comes no further."""
    for name, matrix in entries:
        with open("asked", "a") as stream:
            stream.write(f"{name}\n")
        if name == lost:
            raise RuntimeError(f"{name} is too much")
        yield name, factor * matrix
