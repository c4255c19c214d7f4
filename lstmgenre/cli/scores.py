"""score and report: how well it works."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre import console
from lstmgenre.cli.app import Json, app

logger = logging.getLogger(__name__)


@app.command("score")
def score(
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    post: Annotated[str | None, typer.Option(metavar="RSPECIFIER", help="Posteriors of the tracks.")] = None,
    svm: Annotated[
        list[Path] | None, typer.Option(metavar="SVM_DIR", help="With --segments, as often as wanted.")
    ] = None,
    segments: Annotated[
        list[str] | None, typer.Option(metavar="RSPECIFIER", help="Segment vectors for that --svm.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score tracks against DATA_DIR/utt2genre: frame accuracy and majority vote (--post), SVMs on segment features.

    Example: lstmgenre score data/test --post scp:post.scp --svm exp/lstm/lseg --segments scp:seg.scp
    """
    from lstmgenre import scoring, tables
    from lstmgenre.datadir import DataDir
    from lstmgenre.svm import SegmentSvm

    svm, segments = svm or [], segments or []
    if len(svm) != len(segments):
        raise typer.BadParameter("give one --segments for each --svm")
    if post is None and not svm:
        raise typer.BadParameter("nothing to score: give --post, or --svm with --segments")
    data = DataDir.read(data_dir, need=["utt2genre"])
    report = scoring.Report(data.genres)
    if post is not None:
        report.add_posteriors(tables.read_table(post), data.utt2genre)
    for directory, vectors in zip(svm, segments, strict=True):
        predictions = SegmentSvm.load(directory).predict(dict(tables.read_table(vectors, "vector")))
        report.add_tracks(directory.name, predictions, data.utt2genre)
    for name, missing in report.missing(data.utt2genre).items():
        logger.warning(
            "%s: %d of %d tracks are not scored, %s among them",
            name,
            len(missing),
            len(data.utt2genre),
            missing[0],
        )
    console.emit(report.as_text(), report.as_dict(), as_json)


@app.command("report")
def report(
    exp_root: Annotated[Path, typer.Argument(metavar="EXP_ROOT")],
    split: Annotated[str, typer.Option(help="The test set whose scores to show.")] = "test",
    as_json: Json = False,
) -> None:
    """Print Tables 2 and 4 of the paper from the experiments below EXP_ROOT.

    Example: lstmgenre report exp
    """
    from lstmgenre.report import read_experiments, table2, table4

    experiments = read_experiments(exp_root, split)
    console.emit(f"{table2(experiments)}\n\n{table4(experiments)}", [vars(e) for e in experiments], as_json)
