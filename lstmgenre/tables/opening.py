"""Extended file names: a path, `-` for stdin or stdout, a shell command with a bar, `path:offset`.

A command runs in bash with pipefail, so that a failure anywhere in it is seen. Where LSTMGENRE_NO_PIPES=1 is in the
environment, no command runs at all: data from strangers can then be read without trust in its file lists.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from lstmgenre.errors import DataError, UsageError
from lstmgenre.files import atomic_output, in_temporary_directory

NO_PIPES = "LSTMGENRE_NO_PIPES"

# bash's status for a command inside a pipeline that stopped because the next one, `head` say, had enough.
_SIGPIPE_STATUS = 128 + signal.SIGPIPE


_lock = threading.Lock()  # of the environment, which all threads share
_forbidding: list[str | None] = []  # for each block that forbids commands, what stood there before


def forbids_pipes() -> bool:
    return os.environ.get(NO_PIPES, "0") not in ("", "0")


@contextmanager
def pipes_forbidden(wanted: bool) -> Iterator[None]:
    """No command runs in the block if that is wanted; where it was forbidden before, it stays so."""
    if not wanted:
        yield
        return
    with _lock:
        _forbidding.append(os.environ.get(NO_PIPES))
        os.environ[NO_PIPES] = "1"
    try:
        yield
    finally:
        with _lock:
            before = _forbidding.pop()  # the first comes out with the last block that ends
            if before is None:
                del os.environ[NO_PIPES]
            else:
                os.environ[NO_PIPES] = before


def is_pipe(filename: str) -> bool:
    return filename.startswith("|") or filename.endswith("|")


def is_standard(filename: str) -> bool:
    return filename in ("", "-")


def is_stream(wxfilename: str) -> bool:
    """Whether what is written there is gone: to a command, standard output or a device, not to a file."""
    path = Path(wxfilename)
    return is_pipe(wxfilename) or is_standard(wxfilename) or (path.exists() and not path.is_file())


def split_offset(rxfilename: str) -> tuple[str, int]:
    """`feats.ark:1234` -> (`feats.ark`, 1234); a name without an offset starts at 0."""
    match = None if is_pipe(rxfilename) else re.fullmatch(r"(.+):([0-9]{1,18})", rxfilename)
    return (match[1], int(match[2])) if match else (rxfilename, 0)


def open_input(rxfilename: str) -> AbstractContextManager[BinaryIO]:
    """Open `path`, `path:offset`, `-` or an empty name (stdin), or `cmd |` for reading bytes.

    Raises DataError where the file cannot be opened, or where the command fails: with its exit status and the end of
    its stderr, also when the caller's block failed first on what the command had written.
    """
    if rxfilename.endswith("|"):
        return _input_pipe(rxfilename[:-1].strip())
    if is_standard(rxfilename):
        if sys.stdin is None:
            raise DataError("'-': standard input is closed: give a file, or pipe something in")
        with suppress(OSError, ValueError):  # it is no file in a test
            os.set_blocking(sys.stdin.fileno(), True)  # else a writer that is slow would seem to be done
        return nullcontext(sys.stdin.buffer)
    return open_file(*split_offset(rxfilename))


def open_output(wxfilename: str) -> AbstractContextManager[BinaryIO]:
    """Open `path` (it appears whole when the block ends well, or not at all), `-` (stdout) or `| cmd` to write bytes.

    Raises DataError where the file cannot be written or the command fails. A reader that closes our stdout raises
    BrokenPipeError.
    """
    if wxfilename.startswith("|"):
        return _output_pipe(wxfilename[1:].strip())
    if wxfilename.endswith("|"):
        raise UsageError(f"'{wxfilename}': a command to write to starts with the bar: | cmd")
    if is_standard(wxfilename):
        if sys.stdout is None or sys.__stdout__ is None:
            raise DataError("'-': standard output is closed: give a file, or pipe it somewhere")
        return _output_device(wxfilename, lambda: nullcontext(sys.stdout.buffer))
    if os.path.exists(wxfilename) and not os.path.isfile(wxfilename):
        # /dev/null, /dev/stdout, a named pipe: what is no regular file must not be replaced by one.
        return _output_device(wxfilename, lambda: open(wxfilename, "wb"))
    return _output_file(wxfilename)


@contextmanager
def open_file(path: str, offset: int = 0) -> Iterator[BinaryIO]:
    """Open a plain path for reading bytes. Raises DataError where that fails."""
    try:
        stream = open(path, "rb")  # noqa: SIM115
        if offset:  # a pipe (`/dev/fd/63`) cannot seek, and need not
            stream.seek(offset)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason}; check the path") from error
    with stream:
        yield stream


@contextmanager
def _output_file(name: str) -> Iterator[BinaryIO]:
    # Through a link, as storage is spread over disks in Kaldi recipes, and not over it.
    with atomic_output(os.path.realpath(name), "wb") as stream:
        yield stream  # type: ignore[misc]


@contextmanager
def _output_device(name: str, opener: Callable[[], AbstractContextManager[Any]]) -> Iterator[BinaryIO]:
    try:
        with opener() as stream:
            yield stream
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename not in (None, name):
            raise
        raise DataError(f"{name or '-'}: cannot be written: {error.strerror}") from error


@contextmanager
def _input_pipe(command: str) -> Iterator[BinaryIO]:
    with _watched(command, f"{command} |", stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield process.stdout  # type: ignore[misc]
        # What the block left unread is read here: the exit status then speaks of the command, not of our leaving.
        while process.stdout.read(1 << 20):
            pass


@contextmanager
def _output_pipe(command: str) -> Iterator[BinaryIO]:
    with _watched(command, f"| {command}", stdin=subprocess.PIPE) as process:
        assert process.stdin
        yield process.stdin  # type: ignore[misc]
        process.stdin.close()


@contextmanager
def _watched(command: str, name: str, **ends: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` beside the block. Raises DataError if it fails, and if what failed is the block and this is why."""
    with in_temporary_directory():
        stderr = tempfile.TemporaryFile()  # noqa: SIM115
    with stderr, _running(command, stderr=stderr, **ends) as process:
        try:
            yield process
        except Exception as error:
            cause = _failure(process, stderr, patience=1)
            if process.stdin and isinstance(error, BrokenPipeError):
                cause = cause or "stopped before it had read everything"
            if not cause:
                raise
            raise DataError(f"'{name}' {cause}") from error
        if cause := _failure(process, stderr):
            raise DataError(f"'{name}' {cause}")


@contextmanager
def _running(command: str, **ends: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command`, and stop what is left of it after the block."""
    if forbids_pipes():
        raise DataError(f"'{command}': commands are forbidden here (--no-pipes or {NO_PIPES}=1); use a plain file")
    if not command:
        raise UsageError("'|': a bar without a command")
    try:
        # A session of its own, so that all of a pipeline can be stopped at once.
        process = subprocess.Popen(["bash", "-o", "pipefail", "-c", command], start_new_session=True, **ends)
    except (OSError, ValueError) as error:
        raise DataError(f"'{command}': cannot be run: {error}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        for stream in (process.stdin, process.stdout):
            _close(stream)
        process.wait()


def _failure(process: subprocess.Popen[bytes], stderr: IO[bytes], patience: float | None = None) -> str:
    """How the command failed; "" if it did not, or not within `patience` seconds."""
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        return ""
    if status in (0, _SIGPIPE_STATUS):
        return ""
    how = f"failed with exit status {status}" if status > 0 else f"was killed by signal {-status}"
    return f"{how}: {_tail(stderr) or 'nothing on stderr; run it by hand'}"


def _close(stream: IO[bytes] | None) -> None:
    try:
        if stream:
            stream.close()
    except BrokenPipeError:
        pass  # the command is gone; its status has been or will be told


def _tail(stderr: IO[bytes], lines: int = 3) -> str:
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 2000))
    text = stderr.read().decode("utf-8", "replace")
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])
