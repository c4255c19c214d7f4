"""prep-data, split-data and validate-data: a corpus as Kaldi data directories."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmgenre.cli.app import app, run_record
from lstmgenre.cli.parsing import App

if TYPE_CHECKING:
    from lstmgenre.datadir import DataDir

logger = logging.getLogger(__name__)

Source = Annotated[Path, typer.Argument(metavar="SRC")]
Target = Annotated[Path, typer.Argument(metavar="DATA")]
Seed = Annotated[int, typer.Option(help="Of the random choices.")]

prep_data = App(no_args_is_help=True)
app.add_typer(prep_data, name="prep-data", help="Write DATA/train and DATA/test from a corpus.")


@prep_data.command("ismir2004")
def ismir2004(context: typer.Context, src: Source, data: Target) -> None:
    """The ISMIR 2004 genre database: training -> train, development -> test, evaluation -> evaluation.

    Example: lstmgenre prep-data ismir2004 /corpora/ismir2004 data
    """
    from lstmgenre.corpora.ismir2004 import prepare

    with run_record(context, data):
        _tell(prepare(src, data))


@prep_data.command("folders")
def folders(
    context: typer.Context,
    src: Source,
    data: Target,
    artists: Annotated[
        Path | None, typer.Option(help="CSV with columns path, artist. Default: SRC/manifest.csv")
    ] = None,
    test_fraction: Annotated[float, typer.Option(min=0, max=1, help="Share of each genre's tracks to test on.")] = 0.5,
    seed: Seed = 0,
) -> None:
    """Any tree SRC/GENRE/TRACK, split by artist where a CSV names them, else by track.

    Example: lstmgenre prep-data folders ~/music data
    """
    from lstmgenre.corpora.folders import prepare

    with run_record(context, data):
        _tell(prepare(src, data, artists=artists, test_fraction=test_fraction, seed=seed))


@prep_data.command("demo")
def demo(context: typer.Context, data: Target, seed: Seed = 0) -> None:
    """A synthesised corpus of six classes; its audio goes to DATA/audio.

    Example: lstmgenre prep-data demo data
    """
    from lstmgenre.corpora.demo import prepare

    with run_record(context, data):
        _tell(prepare(data, seed=seed))


def _tell(splits: dict[str, DataDir]) -> None:
    for name, split in splits.items():
        counts = ", ".join(f"{sum(g == genre for g in split.utt2genre.values())} {genre}" for genre in split.genres)
        logger.info("%s: %d tracks: %s", name, len(split.utterances), counts)


@app.command("split-data")
def split_data(
    context: typer.Context,
    data_dirs: Annotated[list[Path], typer.Argument(metavar="DATA_DIR")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    folds: Annotated[int, typer.Option(min=2, help="Each track is in the test part of one of them.")] = 2,
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
            _tell({f"{out}/{number}/train": train, f"{out}/{number}/test": test})


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
