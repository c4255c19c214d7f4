"""The Typer app, and what its commands share: --config files and the record that each output directory keeps."""

from __future__ import annotations

import enum
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.parsing import App
from lstmgenre.errors import LstmGenreError
from lstmgenre.text import OneLine, visible

if TYPE_CHECKING:
    from lstmgenre.parallel.engine import Engine

app = App(name="lstmgenre", pretty_exceptions_enable=False)

FIRST_STEPS = """\
Your own music, in a folder for each genre:
  lstmgenre learn ~/music model
  lstmgenre predict model song.mp3

The paper's experiment, on a small synthesised corpus in minutes:
  lstmgenre recipe ismir2004 ismir2004
  ismir2004/run.sh

All commands, in the order of the pipeline: lstmgenre --help
One of them, with an example:               lstmgenre COMMAND --help
Pages to read:                              lstmgenre docs\
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"lstmgenre {metadata.version('lstmgenre')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    no_pipes: Annotated[bool, typer.Option("--no-pipes", help="Refuse every `cmd |` in tables and wav.scp.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Music genre classification: scattering features, nnet1 networks and segment features, Kaldi's recipe style."""
    console.setup_logging(verbose)
    if no_pipes:
        os.environ["LSTMGENRE_NO_PIPES"] = "1"  # the environment is what worker processes inherit
    if context.invoked_subcommand is None:
        typer.echo(FIRST_STEPS)
        raise typer.Exit(2)


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the command's own table of a TOML file the defaults of its options."""
    if path is None:
        return None
    from lstmgenre.documents import read_options

    try:
        tables = read_options(path)
    except LstmGenreError as error:
        raise typer.BadParameter(str(error)) from error
    commands = getattr(context.find_root().command, "commands", {})
    if strangers := sorted(tables.keys() - commands.keys()):
        raise typer.BadParameter(f"{path}: {strangers[0]} is no command: options stand under [{context.info_name}]")
    table = {key.replace("-", "_"): value for key, value in tables.get(str(context.info_name), {}).items()}
    parameters = {parameter.name: parameter for parameter in context.command.params}
    if unknown := sorted(table.keys() - parameters.keys()):
        raise typer.BadParameter(f"{path}: [{context.info_name}] has no option {unknown[0]!r}")
    for name, value in table.items():
        if isinstance(value, list) and not getattr(parameters[name], "multiple", False):
            raise typer.BadParameter(f"{path}: [{context.info_name}] {name} takes one value and no list")
    context.default_map = table
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=_read_config,
        is_eager=True,
        help="TOML file whose [COMMAND] table gives option defaults.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class Backend(enum.StrEnum):
    loky = "loky"
    dask = "dask"
    slurm = "slurm"


TableJobs = Annotated[int, options.jobs("Parallel jobs, from an scp: to a file.")]
BackendOption = Annotated[
    Backend, typer.Option("--backend", help="Where jobs run: on this machine, on a dask cluster, by Slurm.")
]
Address = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDRESS", help="dask: tcp://HOST:PORT. slurm: local, to try it.")
]


def engine(backend: Backend, address: str | None) -> Engine:
    """The engine of lstmgenre.parallel that these options mean."""
    from lstmgenre.parallel import dask, loky, slurm

    if backend is Backend.dask:
        if not re.fullmatch(r"(tcp|tls)://.+:\d+", address or ""):
            raise typer.BadParameter("--backend dask needs --scheduler tcp://HOST:PORT")
        return partial(dask.workers, scheduler=str(address))
    if backend is Backend.slurm:
        return partial(slurm.jobs, cluster=address or "slurm")
    if address is not None:
        raise typer.BadParameter("--scheduler is for --backend dask")
    return loky.processes


@contextmanager
def run_record(context: typer.Context, directory: Path, name: str | None = None) -> Iterator[None]:
    """Keep in DIRECTORY/log what the block was asked to do (NAME.json, see expdir/runs.py) and what it logged
    (NAME.log).

    NAME is the command's, unless several runs of a command write to one directory. A run that fails must not pass for
    the one that made what is here: it puts back the record that it found.
    """
    from lstmgenre.expdir import Run
    from lstmgenre.files import atomic_output, open_log, own_directory

    log = own_directory(directory / "log")
    name = name or str(context.info_name)
    command = context.command_path.removeprefix(context.find_root().command_path).strip()
    run = Run.begin(command, sys.argv[1:], context.params)
    started = time.monotonic()
    path = log / f"{name}.json"
    before = path.read_bytes() if path.is_file() else None
    if not run.is_same_as(path):
        run.write(path)
    with open_log(log / f"{name}.log") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("lstmgenre").addHandler(handler)
        try:
            yield
        except Exception as error:
            stream.write(f"ended with {type(error).__name__}: {visible(str(error))}\n")
            if before is not None:
                with atomic_output(path, "wb") as former:
                    former.write(before)
            raise
        finally:
            logging.getLogger("lstmgenre").removeHandler(handler)
    run.seconds = round(time.monotonic() - started, 1)
    if not run.is_same_as(path):
        run.write(path)


@contextmanager
def archive_record(context: typer.Context, wspecifier: str, **how: Any) -> Iterator[None]:
    """Keep beside the archive that the block writes what it was asked to do, and `how` (tables/records.py)."""
    from lstmgenre.expdir import Run
    from lstmgenre.tables.opening import is_stream
    from lstmgenre.tables.records import write_record
    from lstmgenre.tables.specifiers import parse_wspecifier

    archive = parse_wspecifier(wspecifier).archive
    run = Run.begin(str(context.info_name), sys.argv[1:], context.params)
    yield
    if not is_stream(archive):  # a pipe or a device has no place for it
        write_record(archive, run.untimed() | how)


def file_record(context: typer.Context, file: Path, name: str) -> AbstractContextManager[None]:
    """`run_record` in the directory of a file of an experiment; elsewhere the file comes alone."""
    from lstmgenre.expdir import is_of_experiment

    return run_record(context, file.parent, name) if is_of_experiment(file) else nullcontext()
