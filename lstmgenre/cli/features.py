"""extract-scat: audio to scattering features."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre import console
from lstmgenre.cli.app import Config, app, recorded

logger = logging.getLogger(__name__)


@app.command("extract-scat")
def extract_scat(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Argument(metavar="DATA_DIR")] = None,
    config: Config = None,
    nj: Annotated[int, typer.Option("--nj", min=1, help="Parallel jobs, an archive each.")] = 1,
    quantise: Annotated[bool, typer.Option(help="Round the audio to 16 bits first, as the paper's WAV files.")] = False,
    compress: Annotated[bool, typer.Option(help="Write compressed matrices (8 bits a number).")] = False,
    describe: Annotated[bool, typer.Option("--describe", help="Print what each feature is, and end.")] = False,
) -> None:
    """Extract the scattering features of DATA_DIR: writes feats.scp, utt2num_frames and utt2dur.

    What is done already is not done again. Example: lstmgenre extract-scat data/train --nj 4
    """
    from lstmgenre.scattering.extract import count_done, extract
    from lstmgenre.scattering.features import PAPER, ScatteringFeatures, format_paths

    if describe:
        typer.echo(format_paths(ScatteringFeatures(PAPER).paths), nl=False)
        return
    if data_dir is None:
        raise typer.BadParameter("DATA_DIR is missing")
    from lstmgenre.datadir import DataDir

    data = DataDir.read(data_dir, need=["wav.scp"])
    with recorded(context, data_dir):
        with console.progress(f"extract-scat {data_dir}", len(data.utterances), lambda: count_done(data)):
            result = extract(data, replace(PAPER, quantise=quantise), jobs=nj, compress=compress)
        left_out = f", {len(result.failed)} left out (named above)" if result.failed else ""
        logger.info("%s: features of %d utterances%s", data_dir, result.done, left_out)
