"""forward, and nnet1 files: copy-nnet, info-nnet."""

from __future__ import annotations

import enum
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmgenre import console
from lstmgenre.cli import computing, options
from lstmgenre.cli.app import Address, Backend, BackendOption, Config, TableJobs, app, archive_record, engine

if TYPE_CHECKING:
    from lstmgenre.nnet1.nnet import Nnet

logger = logging.getLogger(__name__)


class Format(enum.StrEnum):
    of_2016 = "2016"
    head = "head"


@app.command("forward")
def run_forward(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A training directory or a nnet1 file.")],
    features: Annotated[str, typer.Argument(metavar="FEATS_RSPECIFIER")],
    posteriors: Annotated[str, typer.Argument(metavar="POST_WSPECIFIER")],
    config: Config = None,
    feature_transform: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: that of MODEL, a directory.")
    ] = None,
    no_softmax: Annotated[bool, typer.Option("--no-softmax", help="Leave out the last softmax.")] = False,
    apply_log: Annotated[bool, typer.Option("--apply-log", help="Logarithm of the output.")] = False,
    time_shift: Annotated[
        int, options.whole(0, options.MOST_DELAY, "Frames to shift back; undoes --targets-delay.")
    ] = 0,
    nj: TableJobs = 1,
    backend: BackendOption = Backend.loky,
    scheduler: Address = None,
    device: computing.DeviceOption = computing.Device.auto,
    threads: computing.Threads = 1,
) -> None:
    """Run features through a network and write its posteriors.

    Example: lstmgenre forward exp/lstm1 scp:data/test/feats.scp ark,scp:post.ark,post.scp
    """
    if no_softmax and apply_log:
        raise typer.BadParameter("--no-softmax leaves no probabilities for --apply-log")
    from lstmgenre.nnet1.forward import forward, model_files
    from lstmgenre.parallel.table import map_table
    from lstmgenre.scattering import scat_json

    options = {
        "model": model,
        "feature_transform": feature_transform,
        "no_softmax": no_softmax,
        "apply_log": apply_log,
        "time_shift": time_shift,
        "device": computing.set_up(device, threads),
    }
    scat_json.check(model if model.is_dir() else model.parent, features)
    with archive_record(context, posteriors):
        count = map_table(
            forward,
            options,
            features,
            posteriors,
            jobs=nj,
            engine=engine(backend, scheduler),
            made_with=model_files(model, feature_transform),
        )
        logger.info("ran %d utterances through %s", count, model)


@app.command("copy-nnet")
def copy_nnet(
    source: Annotated[str, typer.Argument(metavar="IN")],
    target: Annotated[str, typer.Argument(metavar="OUT")],
    binary: Annotated[bool, typer.Option("--binary/--text")] = True,
    format: Annotated[Format, typer.Option(help="The Kaldi that is to read it.")] = Format.of_2016,
) -> None:
    """Copy a nnet1 file, between binary and text, and between the formats of 2016 and today; - is a pipe.

    Example: lstmgenre copy-nnet exp/lstm1/final.nnet final.txt --text
    """
    from lstmgenre.tables import open_output

    nnet = _read_nnet(source)
    with open_output(target) as stream:
        nnet.write(stream, binary, format.value)


@app.command("info-nnet")
def info_nnet(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A training directory or a nnet1 file; - is a pipe.")],
) -> None:
    """Print what a nnet1 file holds: components, dimensions, the spread of their numbers.

    Example: lstmgenre info-nnet exp/lstm1/final.nnet
    """
    from lstmgenre.expdir import ExpDir

    nnet = _read_nnet(str(ExpDir(Path(model)).nnet) if Path(model).is_dir() else model)
    console.emit(nnet.info().splitlines())


def _read_nnet(rxfilename: str) -> Nnet:
    from lstmgenre.files import open_fifo
    from lstmgenre.nnet1.nnet import Nnet
    from lstmgenre.tables import open_input
    from lstmgenre.tables.opening import is_pipe, is_standard

    if is_pipe(rxfilename) or is_standard(rxfilename):
        with open_input(rxfilename) as stream:
            return Nnet.read(stream, rxfilename)
    if Path(rxfilename).is_fifo():
        with open_fifo(rxfilename) as stream:
            return Nnet.read(stream, rxfilename)
    return Nnet.read(rxfilename)
