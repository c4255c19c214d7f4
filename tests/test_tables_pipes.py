"""Kaldi tables: commands, named pipes, standard input and output, devices."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.errors import DataError, FormatError, UsageError
from lstmgenre.tables import open_input, open_output, read_table
from lstmgenre.tables.opening import NO_PIPES
from tests.tables import assert_same, load, save


def test_commands_are_read_and_written(feats):
    assert_same(dict(read_table("ark:cat feats.ark |")), feats)
    assert_same(dict(read_table("scp:sort feats.scp |")), feats)
    save("ark:| gzip -c > feats.gz", feats)
    assert_same(dict(read_table("ark:gunzip -c feats.gz |")), feats)
    Path("pipe.scp").write_text("u1 tail -c +3 one.ark |[0:1]\n")
    save("ark:one.ark", {"u": feats["u1"]})
    np.testing.assert_array_equal(load("scp:pipe.scp")["u1"], feats["u1"][:2])


def test_named_pipes_are_read_and_written(feats):
    os.mkfifo("pipe")
    with subprocess.Popen(["cp", "feats.ark", "pipe"]):
        assert_same(dict(read_table("ark:pipe")), feats)
    with subprocess.Popen(["cp", "pipe", "copy.ark"]):
        save("ark:pipe", feats)
    assert Path("copy.ark").read_bytes() == Path("feats.ark").read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cat feats.ark; echo no more >&2; exit 3", "exit status 3: no more"),
        ("cat nowhere | cat", r"exit status 1: cat: nowhere"),
        ("head -c 100 feats.ark; false", "exit status 1"),
        ("kill -9 $$", "killed by signal 9"),
        ("no_such_command_here", "exit status 127"),
        ("printf 'a\\n\\nb\\nc\\nd\\n' >&2; exit 1", "exit status 1: b / c / d"),
    ],
)
def test_a_command_that_fails_is_an_error_with_its_last_words(feats, command, message):
    with pytest.raises(DataError, match=message) as error:
        list(read_table(f"ark:{command} |"))
    assert command in str(error.value)


def test_a_failing_command_in_an_scp_names_its_entry(feats):
    Path("bad.scp").write_text("u1 tail -c +4 feats.ark; echo gone >&2; exit 4 |\n")
    with pytest.raises(DataError, match=r"u1: .*exit status 4: gone"):
        list(read_table("scp:bad.scp"))


def test_leaving_early_is_no_failure_and_stops_the_command(feats):
    started = time.monotonic()
    table = read_table("ark:echo $$ > pid; cat feats.ark; exec sleep 60 |")
    assert next(table)[0] == "u0"
    table.close()
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)


def test_bad_data_from_a_good_command_is_a_format_error(feats):
    with pytest.raises(FormatError, match="byte"):
        list(read_table("ark:echo u x |"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("head -c 10 > /dev/null", "stopped before"),
        ("cat > /dev/null; echo disk full >&2; exit 2", "exit status 2: disk full"),
        ("exit 5", "exit status 5"),
    ],
)
def test_a_reader_that_dies_fails_the_writer_with_its_name(here, command, message):
    with pytest.raises(DataError, match=message) as error:
        save(f"ark:| {command}", {f"u{i}": np.zeros((100, 100)) for i in range(50)})
    assert f"'| {command}'" in str(error.value)


def test_an_error_of_ours_stops_the_command_we_write_to(here):
    with pytest.raises(DataError, match="not finite"):
        save("ark:| cat > got.ark; touch done", {"a": np.zeros((2, 2)), "b": np.full((2, 2), np.nan)})
    assert not Path("done").exists()


def test_a_bar_on_the_wrong_side_is_refused(here):
    for name in ("|", " | "):
        with pytest.raises(UsageError, match="a bar without a command"):
            save(f"ark:{name}", {})
    with pytest.raises(UsageError, match="starts with the bar"):
        save("ark:gzip -c |", {})
    with pytest.raises(DataError, match="cannot be read"):
        list(read_table("ark:| cat"))


def test_commands_can_be_forbidden(feats, monkeypatch):
    monkeypatch.setenv(NO_PIPES, "1")
    Path("pipe.scp").write_text("u1 touch ran |\n")
    for rspecifier in ("ark:touch ran |", "scp:touch ran |", "scp:pipe.scp"):
        with pytest.raises(DataError, match="commands are forbidden"):
            list(read_table(rspecifier))
    with pytest.raises(DataError, match="commands are forbidden"):
        save("ark:| touch ran", {})
    assert not Path("ran").exists()
    assert_same(dict(read_table("scp:feats.scp")), feats)


def test_a_closed_standard_output_is_said(here, python):
    code = """
    from lstmgenre.__main__ import main
    main()
    """
    save("ark:post.ark", {"u": np.full((2, 2), 0.5)})
    done = python(code, "pool-segments", "ark:post.ark", "ark:-", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert b"standard output is closed" in done.stderr


def test_an_error_of_another_file_is_not_blamed_on_the_one_written(here):
    with pytest.raises(FileNotFoundError, match="nowhere"), open_output("x"):
        os.stat("nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"), open_output("/dev/null"):
        os.stat("nowhere")


COPY = """
from lstmgenre.tables import TableWriter, read_table
with TableWriter({out!r}) as table:
    for key, value in read_table({source!r}):
        table.write(key, value)
"""


@pytest.mark.parametrize("name", ["-", ""])
def test_standard_input_and_output(feats, python, name):
    whole = Path("feats.ark").read_bytes()
    copy = python(COPY.format(out=f"ark:{name}", source=f"ark:{name}"), input=whole)
    assert (copy.returncode, copy.stdout) == (0, whole), copy.stderr
    copy = python(COPY.format(out="ark:/dev/stdout", source="scp:-"), input=Path("feats.scp").read_bytes())
    assert (copy.returncode, copy.stdout) == (0, whole), copy.stderr


@pytest.mark.system
def test_a_standard_input_that_does_not_wait_is_made_to(here):
    code = "from lstmgenre.tables import read_table; print(*[key for key, _ in read_table('ark:-', 'vector')])"
    save("ark:a.ark", {f"u{k}": np.zeros(3, np.float32) for k in range(4)}, "vector")
    content = Path("a.ark").read_bytes()
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with subprocess.Popen([sys.executable, "-c", code], stdin=ours, stdout=subprocess.PIPE) as reader:
        os.write(theirs, content[: len(content) // 2])
        time.sleep(1)
        os.write(theirs, content[len(content) // 2 :])
        os.close(theirs)
        assert reader.stdout.read() == b"u0 u1 u2 u3\n"
    os.close(ours)


@pytest.mark.system
def test_a_closed_standard_output_is_a_broken_pipe(here):
    code = """
    import sys
    import numpy as np
    from lstmgenre.tables import TableWriter
    try:
        with TableWriter("ark:-") as table:
            for i in range(10000):
                table.write(str(i), np.zeros((100, 100)))
    except BrokenPipeError:
        sys.stderr.write("broken")
        sys.stderr.flush()
        import os
        os._exit(0)
    """
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{textwrap.dedent(code)}' | head -c 100"], capture_output=True, timeout=60
    )
    assert done.stderr == b"broken"


def test_devices_stay_devices(here):
    save("ark:/dev/null", {"a": np.zeros((2, 2))})
    assert Path("/dev/null").is_char_device()
    with pytest.raises(DataError, match="/dev/full: cannot be written"):
        save("ark:/dev/full", {"a": np.zeros((2, 2))})
    assert Path("/dev/full").is_char_device()


def test_offsets_and_plain_files(here):
    Path("x.bin").write_bytes(b"0123456789")
    with open_input("x.bin:4") as stream:
        assert stream.read() == b"456789"
    with open_output("new/y.bin") as stream:
        stream.write(b"abc")
    assert Path("new/y.bin").read_bytes() == b"abc"
    for name in ("nowhere", "nowhere:3", "."):
        with pytest.raises(DataError, match="cannot be read"), open_input(name):
            pass


def test_a_name_may_end_in_what_only_unicode_calls_a_space(here):
    for name in ("caf\u00e9\u00a0", "\x1c"):
        save(f"ark: {name} ", {"a": np.ones((1, 1))})
        assert Path(name).exists()
        assert "a" in load(f"ark: {name} ")


def test_streams_without_a_file_descriptor_do(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"u  [ 1 2 ]\n")))
    assert next(read_table("ark:-", "vector"))[1].tolist() == [1, 2]
