"""Finds out all that a report tells, and writes it: RESULTS.md, report.html, results.json, tables as CSV, plots."""

from __future__ import annotations

import csv
import importlib.util
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from lstmgenre.datadir import DataDir
from lstmgenre.documents import write_json
from lstmgenre.errors import DataError
from lstmgenre.expdir import read_runs, scores_below
from lstmgenre.files import atomic_output
from lstmgenre.report import render
from lstmgenre.report.document import Findings, sections
from lstmgenre.report.experiments import Experiment, read_experiments
from lstmgenre.report.render import Plot, Section
from lstmgenre.report.results import ReportTable
from lstmgenre.report.thresholds import Curve, Tracks, sweep

logger = logging.getLogger(__name__)


def write(
    root: Path,
    out: Path,
    split: str = "test",
    *,
    name: str = "",
    train_data: Path | None = None,
    test_data: Path | None = None,
    beside: Path | None = None,
    figure_3: bool = True,
) -> None:
    """Report on the experiments below `root` in `out`, each file whole or not at all; `name` is that of the title,
    or else the one of `root` is.

    The data directories are those that were trained on and `split` beside it, unless given. Other splits below `root`,
    and `split` below `beside`, are shown beside this one. Figure 3 is left out where it is not wanted and,
    with a warning, where posteriors or features are not there, and all plots where matplotlib is not installed. Raises
    DataError or FormatError for scores and records that cannot be read, and for data directories that are given and
    cannot.
    """
    experiments = {name: read_experiments(*where) for name, where in _splits(root, split, beside).items()}
    findings = Findings(split, experiments.pop(split), experiments)
    directories = [root]
    both = _data(findings.experiments, split, train_data, test_data) if figure_3 else None
    if both:
        directories += {data_dir.path.parent for data_dir in both}
        findings.thresholds = _thresholds(findings.experiments, split, *both)
    elif figure_3:
        logger.warning("no Figure 3: say where the data are with --train-data and --test-data")
    findings.runs = read_runs(directories)
    if importlib.util.find_spec("matplotlib"):
        from lstmgenre.report.plots import plots

        findings.plots = plots(findings)
    else:
        logger.warning("no plots: matplotlib is not installed: pip install 'lstmgenre[plot]'")
    part = "cross-validation" if findings.of_cross_validation else split
    _write(out, f"Results of {name or root.resolve().name}, {part}", sections(findings), findings.plots)


def _write(out: Path, title: str, document: list[Section], plots: Sequence[Plot]) -> None:
    for plot in plots:
        for suffix, content in ((".png", plot.png), (".svg", plot.svg)):
            with atomic_output(out / f"{plot.name}{suffix}", "wb") as stream:
                stream.write(content)
    tables = [
        block for section in document for block in section.blocks if isinstance(block, ReportTable) and block.records
    ]
    for table in tables:
        with atomic_output(out / f"{table.name}.csv") as stream:
            writer = csv.DictWriter(stream, list(table.records[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table.records)
    write_json(out / "results.json", {table.name: table.records for table in tables})
    with atomic_output(out / "RESULTS.md") as stream:
        stream.write(render.markdown(title, document))
    with atomic_output(out / "report.html") as stream:
        stream.write(render.html(title, document))


def _splits(root: Path, split: str, beside: Path | None) -> dict[str, tuple[Path, str]]:
    """Root and split of all scores to show, by the name to show; the split in question is the first."""
    names = {path.parent.name for path in scores_below(root)} - {split}
    splits = {name: (root, name) for name in (split, *sorted(names))}
    return splits | ({f"{beside.name}/{split}": (beside, split)} if beside else {})


def _data(
    experiments: Iterable[Experiment], split: str, train: Path | None = None, test: Path | None = None
) -> tuple[DataDir, DataDir] | None:
    """The data that was trained on and tested on: what was asked for, or what the records say if it is still there."""
    own = {e.directory for e in experiments}
    told = (run.data_dir for where, run in read_runs(own) if where in own and run.name.startswith("train-"))
    train = train or next((path for path in told if path and path.is_dir()), None)
    if train and not test and (train.parent / split).is_dir():
        test = train.parent / split
    if not (train and test):
        return None
    return DataDir.read(train, ["utt2genre"]), DataDir.read(test, ["utt2genre"])


def _thresholds(
    experiments: Sequence[Experiment], split: str, train: DataDir, test: DataDir
) -> dict[str, dict[str, Curve]]:
    networks = [e for e in experiments if e.segment_systems]
    if not networks:
        return {}
    curves = {}
    try:
        logger.info("Figure 3: reading the features of %s and %s", train.path, test.path)
        train_tracks, test_tracks = Tracks.read(train), Tracks.read(test)
        for e in networks:
            logger.info("Figure 3: training the SVMs of %s", e.label)
            curves[e.label] = dict(sweep(e, train_tracks, test_tracks, split))
    except DataError as error:
        logger.warning("Figure 3 is not whole: %s", error)
    return curves
