"""split-data and validate-data: Kaldi data directories."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli import options
from lstmgenre.cli.app import app, run_record
from lstmgenre.cli.corpora import Seed, tell

logger = logging.getLogger(__name__)


@app.command("split-data")
def split_data(
    context: typer.Context,
    data_dirs: Annotated[list[Path], typer.Argument(metavar="DATA_DIR")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    folds: Annotated[int, options.whole(2, options.MOST_FOLDS, "Each track is in the test part of one of them.")] = 2,
    seed: Seed = 0,
) -> None:
    """Regroup tracks by artist: OUT/1/train and OUT/1/test, and so on, each artist on one side, genres in like shares.

    Example: lstmgenre split-data data/train data/evaluation data/artist --folds 2
    """
    from lstmgenre import datadir
    from lstmgenre.datadir import DataDir

    with run_record(context, out):
        data = datadir.combine([DataDir.read(data_dir, need=["utt2spk", "utt2genre"]) for data_dir in data_dirs])
        data.path = out
        for number, (train, test) in enumerate(datadir.folds(data, folds, seed), 1):
            train.write()
            test.write()
            tell({f"{out}/{number}/train": train, f"{out}/{number}/test": test})


@app.command("validate-data")
def validate_data(
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Mend what can be mended: sort, drop what is not complete; old files go to .backup/."
        ),
    ] = False,
) -> None:
    """Check a data directory by Kaldi's rules; say what is wrong, where, and what mends it.

    Example: lstmgenre validate-data data/train
    """
    from lstmgenre.datadir import DataDir, mend, validate

    if fix:
        mend(data_dir)
    problems = validate(DataDir.read(data_dir, strict=False))
    for problem in problems:
        logger.error("%s: %s: %s", problem.where, problem.message, problem.remedy)
    if problems:
        raise typer.Exit(1)
    logger.info("%s: valid", data_dir)
