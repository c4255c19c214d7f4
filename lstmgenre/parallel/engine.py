"""What all engines have in common: the jobs that they run, and how their processes end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

KILLED = "its process was killed, for want of memory perhaps"


class Job(Protocol):
    def done(self) -> bool: ...
    def result(self) -> Any: ...


Submit = Callable[..., Job]
Engine = Callable[[Path], AbstractContextManager[Submit]]  # given a directory for files of its own


class Lost(Exception):
    """Why a job came to no end."""


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Processes that the block starts never see Ctrl-C, which a terminal sends to all: who starts them ends them."""
    resource_tracker.ensure_running()  # multiprocessing's own process: loky needs it, and its start unblocks Ctrl-C
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_with(starter: int) -> None:
    """End this process when the one that began the run is gone: it would write where the next run writes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def watch() -> None:
        while not has_ended(starter):
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)  # time to end the commands that it reads from
        time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def has_ended(process: int) -> bool:
    """Also if nobody has asked for its exit status yet."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:  # no /proc here
        return False
