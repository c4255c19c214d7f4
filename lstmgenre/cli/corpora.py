"""prep-data: a corpus as Kaldi data directories."""

from __future__ import annotations

import enum
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.app import app, run_record
from lstmgenre.cli.parsing import App

if TYPE_CHECKING:
    from lstmgenre.datadir import DataDir

logger = logging.getLogger(__name__)

Source = Annotated[Path, typer.Argument(metavar="SRC")]
Target = Annotated[Path, typer.Argument(metavar="DATA")]
Seed = Annotated[int, options.seed("Of the random choices.")]
Jobs = Annotated[int, options.jobs("Processes that look at the files.")]
Artists = Annotated[
    Path | None, typer.Option(metavar="CSV", help="Columns path, artist. Default: SRC/manifest.csv, then the tags.")
]
Genres = Annotated[
    Path | None, typer.Option(metavar="CSV", help="Lines SPELLING,GENRE: what to call a genre; no GENRE leaves it out.")
]
MinTracks = Annotated[int, options.whole(1, options.MOST_TRACKS, "Leave out genres of fewer tracks.")]
TestFraction = Annotated[float, options.real(0, 1, "Share of the artists (or tracks) to test on; 0: no test set.")]
HeldOut = Annotated[float, options.real(0, 1, "Share of the others for DATA/valid, to give to --cv-dir of train-*.")]

prep_data = App()
app.add_typer(prep_data, name="prep-data", help="Write DATA/train and DATA/test from a corpus.")


class GtzanSplit(enum.StrEnum):
    filtered = "filtered"
    random = "random"


class FmaSubset(enum.StrEnum):
    small = "small"
    medium = "medium"
    large = "large"


@prep_data.command("folders")
def folders(
    context: typer.Context,
    src: Source,
    data: Target,
    artists: Artists = None,
    genres: Genres = None,
    min_tracks: MinTracks = 1,
    test_fraction: TestFraction = 0.5,
    held_out: HeldOut = 0.0,
    seed: Seed = 0,
    nj: Jobs = 1,
) -> None:
    """Any tree SRC/GENRE/.../TRACK. What cannot be used is left out, by name, in DATA/left_out.csv.

    An artist is on one side of the split; songs that come, go or are renamed move no other. Files are decoded once.
    Example: lstmgenre prep-data folders ~/music data --nj 4
    """
    from lstmgenre.corpora.folders import prepare

    split = {"test_fraction": test_fraction, "held_out": held_out, "seed": seed}
    how = {"min_tracks": min_tracks, "jobs": nj, "progress": console.progress}
    with run_record(context, data):
        tell(prepare(src, data, artists=artists, genres=genres, **split, **how))


@prep_data.command("tags")
def tags(
    context: typer.Context,
    src: Source,
    data: Target,
    artists: Artists = None,
    genres: Genres = None,
    min_tracks: MinTracks = 2,
    test_fraction: TestFraction = 0.5,
    held_out: HeldOut = 0.0,
    seed: Seed = 0,
    nj: Jobs = 1,
) -> None:
    """Any tree of files whose tags say genre and artist; otherwise as folders.

    Example: lstmgenre prep-data tags ~/music data --genres map.csv --min-tracks 20
    """
    from lstmgenre.corpora.tagged import prepare

    split = {"test_fraction": test_fraction, "held_out": held_out, "seed": seed}
    how = {"min_tracks": min_tracks, "jobs": nj, "progress": console.progress}
    with run_record(context, data):
        tell(prepare(src, data, artists=artists, genres=genres, **split, **how))


@prep_data.command("table")
def table(
    context: typer.Context,
    files: Annotated[Path, typer.Argument(metavar="FILES.csv")],
    data: Target,
    genres: Genres = None,
    min_tracks: MinTracks = 1,
    test_fraction: TestFraction = 0.5,
    held_out: HeldOut = 0.0,
    seed: Seed = 0,
    nj: Jobs = 1,
) -> None:
    """The files that a CSV names: columns path (from its own folder) and genre; artist and split (train, valid, test)
    where they are known. Without splits they are divided as folders does.

    Example: lstmgenre prep-data table music.csv data
    """
    from lstmgenre.corpora.table import prepare

    split = {"test_fraction": test_fraction, "held_out": held_out, "seed": seed}
    how = {"min_tracks": min_tracks, "jobs": nj, "progress": console.progress}
    with run_record(context, data):
        tell(prepare(files, data, genres=genres, **split, **how))


@prep_data.command("ismir2004")
def ismir2004(context: typer.Context, src: Source, data: Target) -> None:
    """The ISMIR 2004 genre database: training -> train, development -> test, evaluation -> evaluation.

    Example: lstmgenre prep-data ismir2004 /corpora/ismir2004 data
    """
    from lstmgenre.corpora.ismir2004 import prepare

    with run_record(context, data):
        tell(prepare(src, data))


@prep_data.command("gtzan")
def gtzan(
    context: typer.Context,
    src: Source,
    data: Target,
    split: Annotated[
        GtzanSplit, typer.Option(help="filtered: the fault-filtered lists that keep artists apart; random: by chance.")
    ] = GtzanSplit.filtered,
    test_fraction: TestFraction = 0.5,
    held_out: HeldOut = 0.0,
    seed: Seed = 0,
    nj: Jobs = 1,
) -> None:
    """GTZAN, wav or au: train, valid and test of 443, 197 and 290 tracks; give DATA/valid to --cv-dir of train-*.

    --test-fraction, --held-out and --seed are for a random split.
    Example: lstmgenre prep-data gtzan /corpora/gtzan data
    """
    from lstmgenre.corpora.gtzan import prepare

    shares = {"test_fraction": test_fraction, "held_out": held_out, "seed": seed}
    how = {"jobs": nj, "progress": console.progress}
    with run_record(context, data):
        tell(prepare(src, data, filtered=split is GtzanSplit.filtered, **shares, **how))


@prep_data.command("fma")
def fma(
    context: typer.Context,
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Where 000/000002.mp3 is.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="The folder of tracks.csv.")],
    data: Target,
    subset: Annotated[FmaSubset, typer.Option(help="Each holds the one before.")] = FmaSubset.small,
    nj: Jobs = 1,
) -> None:
    """FMA, by its own split and top genres: train, valid and test; give DATA/valid to --cv-dir of train-*.

    Example: lstmgenre prep-data fma fma_medium fma_metadata data --subset medium --nj 4
    """
    from lstmgenre.corpora.fma import prepare

    with run_record(context, data):
        tell(prepare(audio, metadata, data, subset=subset.value, jobs=nj, progress=console.progress))


@prep_data.command("demo")
def demo(context: typer.Context, data: Target, seed: Seed = 0) -> None:
    """A synthesised corpus of six classes; its audio goes to DATA/audio.

    Example: lstmgenre prep-data demo data
    """
    from lstmgenre.corpora.demo import prepare

    with run_record(context, data):
        tell(prepare(data, seed=seed))


def tell(splits: dict[str, DataDir]) -> None:
    """How many tracks of each genre there are in each set."""
    for name, split in splits.items():
        counts = ", ".join(f"{sum(g == genre for g in split.utt2genre.values())} {genre}" for genre in split.genres)
        logger.info("%s: %d tracks: %s", name, len(split.utterances), counts)
