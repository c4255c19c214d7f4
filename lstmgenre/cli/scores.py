"""score and report: how well it works."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre import console
from lstmgenre.cli.app import Json, app, file_record, run_record
from lstmgenre.text import distinct_names

logger = logging.getLogger(__name__)


@app.command("score")
def score(
    context: typer.Context,
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    post: Annotated[str | None, typer.Option(metavar="RSPECIFIER", help="Posteriors of the tracks.")] = None,
    svm: Annotated[
        list[Path] | None, typer.Option(metavar="SVM_DIR", help="With --segments, as often as wanted.")
    ] = None,
    segments: Annotated[
        list[str] | None, typer.Option(metavar="RSPECIFIER", help="Segment vectors for that --svm.")
    ] = None,
    decisions: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Lines `utterance genre` that came from elsewhere; its name is the system's."
        ),
    ] = None,
    train_data: Annotated[
        Path | None,
        typer.Option(metavar="DATA_DIR", help="What was trained on: tells tracks of its artists from those of others."),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Score tracks that trained the model, too: no test score.")
    ] = False,
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the JSON there, and print nothing.")] = None,
) -> None:
    """Score tracks against DATA_DIR/utt2genre: frame accuracy and majority vote (--post), SVMs on segment features,
    decisions of other systems.

    Example: lstmgenre score data/test --train-data data/train --post scp:post.scp --svm exp/svm --segments scp:seg.scp
    """
    from lstmgenre import provenance, tables
    from lstmgenre.datadir import DataDir
    from lstmgenre.errors import DataError
    from lstmgenre.scoring import Report
    from lstmgenre.svm import SegmentSvm

    svm, segments, decisions = svm or [], segments or [], decisions or []
    if len(svm) != len(segments):
        raise typer.BadParameter("give one --segments for each --svm")
    if post is None and not svm and not decisions:
        raise typer.BadParameter("nothing to score: give --post, --svm with --segments, or --decisions")
    need = ["utt2genre", "utt2spk"] if train_data else ["utt2genre"]
    data = DataDir.read(data_dir, need)
    report = Report(data.genres)
    with file_record(context, out, "score") if out else nullcontext():
        if post is not None:
            report.add_posteriors(tables.read_table(post), data.utt2genre)
        for name, directory, vectors in zip(distinct_names(svm), svm, segments, strict=True):
            predictions = SegmentSvm.load(directory).predict(dict(tables.read_table(vectors, "vector")))
            report.add_tracks(name, predictions, data.utt2genre)
        for name, path in zip(distinct_names([path.with_suffix("") for path in decisions]), decisions, strict=True):
            report.add_tracks(name, tables.read_map(path), data.utt2genre)
        for name, score in report.tracks.items():
            if not score.predictions:
                raise DataError(f"{name}: no decision to score: give that of one track at least")
        if train_data:
            report.add_artists(data.utt2spk, DataDir.read(train_data, ["utt2spk"]).utt2spk)
        trained = [provenance.behind(table) for table in (*([post] if post else []), *segments)]
        trained += map(provenance.read, svm)
        tested = provenance.contents_of({track: data.feats.get(track, "") for track in report.truth})
        report.seen = set().union(*(provenance.seen(tested, learnt) for learnt in trained))
        if report.seen and not allow_seen:
            raise DataError(f"{data_dir}: no test score: {report.about_seen()}; --allow-seen shows it all the same")
        for name, missing in report.missing(data.utt2genre).items():
            numbers = len(missing), len(data.utt2genre), missing[0]
            logger.warning("%s: %d of %d tracks are not scored, %s among them", name, *numbers)
        if out:
            with tables.open_output(str(out)) as stream:
                stream.write(report.as_json().encode())
            logger.info("wrote %s", out)
        else:
            console.emit(report.as_lines(), report.as_dict(), as_json)


@app.command("report")
def report(
    context: typer.Context,
    exp_root: Annotated[Path, typer.Argument(metavar="EXP_ROOT")],
    out_dir: Annotated[
        Path | None, typer.Argument(metavar="[OUT_DIR]", help="Write RESULTS.md, plots, ... here.")
    ] = None,
    split: Annotated[str, typer.Option(help="The test set whose scores to show.")] = "test",
    train_data: Annotated[
        Path | None, typer.Option(metavar="DATA_DIR", help="Default: what the first network was trained on.")
    ] = None,
    test_data: Annotated[
        Path | None, typer.Option(metavar="DATA_DIR", help="Default: SPLIT beside the training data.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(metavar="EXP_ROOT", help="The same systems on another split, to show beside.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print Tables 2 and 4 of the paper from the experiments below EXP_ROOT; with OUT_DIR write the whole report.

    That is RESULTS.md and report.html with tables, intervals, significance tests and plots; tables as CSV and JSON.
    Example: lstmgenre report exp exp/report
    """
    from lstmgenre.report.experiments import read_experiments
    from lstmgenre.report.results import table2, table4

    experiments = read_experiments(exp_root, split)
    accuracies = [table for table in (table2(experiments), table4(experiments)) if table.rows]
    if out_dir:
        from lstmgenre.report.writing import write

        with run_record(context, out_dir):
            write(exp_root, out_dir, split, train_data=train_data, test_data=test_data, beside=beside)
            logger.info("wrote %s and report.html", out_dir / "RESULTS.md")
    console.emit(
        [line for k, table in enumerate(accuracies) for line in ([""] * (k > 0) + table.as_lines())],
        {table.name: table.as_table().records for table in accuracies},
        as_json,
    )
