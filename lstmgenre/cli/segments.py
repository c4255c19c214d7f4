"""pool-segments, select-svm and train-svm: from posteriors to a decision per track."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.app import (
    Address,
    Backend,
    BackendOption,
    Config,
    TableJobs,
    app,
    archive_record,
    engine,
    file_record,
    run_record,
)

logger = logging.getLogger(__name__)


@app.command("pool-segments")
def pool_segments(
    context: typer.Context,
    posteriors: Annotated[str, typer.Argument(metavar="POST_RSPECIFIER")],
    segments: Annotated[str, typer.Argument(metavar="SEG_WSPECIFIER")],
    config: Config = None,
    threshold: Annotated[float, options.real(0, 1, "k of equation 14.")] = 0.9,
    fuse: Annotated[
        str | None, typer.Option(metavar="FEATS_RSPECIFIER", help="Put the mean of these features first.")
    ] = None,
    nj: TableJobs = 1,
    backend: BackendOption = Backend.loky,
    scheduler: Address = None,
) -> None:
    """Pool the posteriors of each track: max, min, mean, share above the threshold (equations 10-14).

    Example: lstmgenre pool-segments scp:exp/lstm/test/post.scp ark,scp:seg.ark,seg.scp --fuse scp:data/test/feats.scp
    """
    from lstmgenre.parallel.table import map_table
    from lstmgenre.segments import Pooling, pool_table
    from lstmgenre.tables import files_of

    options = {"threshold": threshold, "fuse": fuse}
    made_with = files_of(fuse) if fuse else ()
    with archive_record(context, segments, pooling=Pooling(threshold, fuse is not None)):
        count = map_table(
            pool_table, options, posteriors, segments, "vector", nj, engine(backend, scheduler), made_with
        )
        logger.info("pooled %d tracks", count)


@app.command("select-svm")
def select_svm(
    context: typer.Context,
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    posteriors: Annotated[str, typer.Argument(metavar="POST_RSPECIFIER")],
    chosen: Annotated[Path, typer.Argument(metavar="TOML")],
    fuse: Annotated[
        str | None, typer.Option(metavar="FEATS_RSPECIFIER", help="Put the mean of these features first.")
    ] = None,
    folds: Annotated[
        int, options.whole(2, options.MOST_FOLDS, "Of the cross-validation; an artist is in one of them.")
    ] = 5,
    seed: Annotated[int, options.seed("Of the division into folds.")] = 777,
) -> None:
    """Choose k of equation 14 and the SVM's C by cross-validation on training tracks; TOML is for --config.

    Example: lstmgenre select-svm data/train scp:exp/lstm/train/post.scp exp/lstm/lseg/chosen.toml
    """
    from lstmgenre import svm, tables
    from lstmgenre.datadir import DataDir

    with file_record(context, chosen, chosen.stem):
        data = DataDir.read(data_dir, need=["utt2genre", "utt2spk"])
        features = tables.open_table(fuse) if fuse else None
        choices: list[svm.Choice] = []
        with console.progress("select-svm", len(svm.CANDIDATE_THRESHOLDS) * len(svm.PENALTIES), lambda: len(choices)):
            for choice in svm.select(data, dict(tables.read_table(posteriors)), features, folds, seed):
                choices.append(choice)
        best, fixed = max(choices, key=lambda choice: choice.correct), choices[0]
        with tables.open_output(str(chosen)) as stream:
            stream.write(best.as_toml().encode())
        for name, choice in ("chosen", best), ("the paper's", fixed):
            numbers = choice.threshold, choice.c, choice.correct, choice.total
            logger.info("%s: k %g, C %g: %d of %d tracks", name, *numbers)


@app.command("train-svm")
def train_svm(
    context: typer.Context,
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    segments: Annotated[str, typer.Argument(metavar="SEG_RSPECIFIER")],
    svm_dir: Annotated[Path, typer.Argument(metavar="SVM_DIR")],
    config: Config = None,
    c: Annotated[float, options.real(1e-9, 1e9, "Penalty of the SVM.", "--c")] = 1.0,
) -> None:
    """Train the linear SVM on the segment vectors of the tracks of DATA_DIR.

    A bundle takes an SVM whose vectors came from a file of pool-segments, which says beside it how they were pooled.
    Example: lstmgenre train-svm data/train scp:exp/lstm/train/seg.scp exp/lstm/lseg
    """
    from lstmgenre import provenance, svm, tables
    from lstmgenre.datadir import DataDir
    from lstmgenre.segments import Pooling, blocks_of

    with run_record(context, svm_dir):
        data = DataDir.read(data_dir, need=["utt2genre"])
        vectors = svm.labelled(dict(tables.read_table(segments, "vector")), data.utt2genre)
        model = svm.train(vectors, data.utt2genre, data.genres, c, blocks_of(vectors, len(data.genres)))
        model.pooling = Pooling.of_vectors(segments)
        model.save(svm_dir)
        provenance.write(svm_dir, data.feats, vectors)
        logger.info("trained on %d tracks; wrote %s", len(vectors), svm_dir / svm.NAME)
