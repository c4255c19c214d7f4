"""bundle: a trained system in one directory."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli.app import app, run_record

logger = logging.getLogger(__name__)


@app.command("bundle")
def bundle(
    context: typer.Context,
    experiments: Annotated[list[Path], typer.Argument(metavar="EXP_DIR")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    svm: Annotated[
        str, typer.Option(metavar="NAME", help="The SVM to take, a directory in EXP_DIR; vote: none, but the network.")
    ] = "fseg",
) -> None:
    """Pack features, network, SVM and a model card in OUT; of several EXP_DIR, the one of the lowest held-out loss.

    Example: lstmgenre bundle exp/lstm1 exp/lstm2 exp/bundle
    """
    from lstmgenre.packing import pack

    # A directory of experiments keeps a record; elsewhere the bundle comes alone.
    roots = {experiment.resolve().parent for experiment in experiments}
    with run_record(context, out.parent, out.name) if out.resolve().parent in roots else nullcontext():
        logger.info("wrote %s, from %s", out, pack(experiments, svm, out) / svm)
