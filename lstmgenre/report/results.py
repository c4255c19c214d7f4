"""Accuracies beside the paper's, with intervals; recalls; which differences are more than chance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lstmgenre.expdir import History
from lstmgenre.report.experiments import FSEG, LSEG, Experiment
from lstmgenre.scoring import MAJORITY_VOTE, FrameScore, TrackScore, mcnemar

PAPER_TRACKS = 729  # test tracks, Table 1 of the paper

# Tables 2 and 4 of the paper, by (recurrent, layers).
_PAPER = {
    (False, "525-1024-6"): {"Frame": 0.7592, "Seg": 0.8532},
    (False, "525-1024-1024-6"): {"Frame": 0.7635, "Seg": 0.8435},
    (True, "525-512-6"): {"Frame": 0.8385, "Seg": 0.8752, "LSeg": 0.8807, "FSeg": 0.8971},
    (True, "525-1024-6"): {"Frame": 0.8378, "Seg": 0.8765, "LSeg": 0.8834, "FSeg": 0.8807},
    (True, "525-512-512-6"): {"Frame": 0.8166, "Seg": 0.8628, "LSeg": 0.8614, "FSeg": 0.8848},
    (True, "525-1024-1024-6"): {"Frame": 0.8044, "Seg": 0.8299, "LSeg": 0.8395, "FSeg": 0.8642},
}

_BASELINE = "Baseline"  # the column of systems that are no network


def column(system: str) -> str:
    """What the paper calls a system: Seg, LSeg, FSeg, and in its manner LSeg-cf5-sel; others go by their own name,
    unless that is one of these.
    """
    if system == MAJORITY_VOTE:
        return "Seg"
    if re.fullmatch(rf"({LSEG}|{FSEG})(_[a-z0-9]+)*", system):
        return f"{system[0].upper()}Seg{system[4:].replace('_', '-')}"
    return f"SVM {system}" if re.fullmatch("[LF]?Seg(-.*)?", system) else system


class ReportTable(NamedTuple):
    """A table to print: text cells, and the same as numbers, a record per row of `name`.csv."""

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    records: Sequence[dict[str, Any]]


class Rate(NamedTuple):
    """A score, and the paper's accuracy in its place (None: the paper has none)."""

    score: FrameScore | TrackScore
    paper: float | None


@dataclass(frozen=True)
class AccuracyTable:
    """Table 2 or 4: `rows` are (label, rates), a rate (or None) for each of the `columns` (Frame, Seg, LSeg, ...)."""

    name: str
    title: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Rate | None]]]

    def as_lines(self) -> list[str]:
        """As in the paper: no more than the accuracies."""
        width = max(len(label) for label in (self.corner, *(label for label, _ in self.rows)))
        widths = [max(9, len(f"{name} acc")) for name in self.columns]
        head = [f"{name} acc" for name in self.columns]
        lines = [self.title, ""]
        for label, cells in [(self.corner, head), *((label, [*map(_percent, rates)]) for label, rates in self.rows)]:
            columns = (f"  {cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
            lines.append(f"{label:<{width}}{''.join(columns)}")
        return lines

    def as_table(self) -> ReportTable:
        """With intervals, and a column of the paper's accuracies behind each of ours that it has."""
        in_paper = [any((rate := rates[k]) and rate.paper for _, rates in self.rows) for k in range(len(self.columns))]
        head = [self.corner]
        for name, paper in zip(self.columns, in_paper, strict=True):
            head += [f"{name} acc", "paper"] if paper else [f"{name} acc"]
        rows = []
        for label, rates in self.rows:
            cells = [label]
            for rate, paper in zip(rates, in_paper, strict=True):
                cells.append(_with_interval(rate and rate.score))
                if paper:
                    cells.append(f"{rate.paper:.2%}" if rate and rate.paper else "")
            rows.append(cells)
        return ReportTable(self.name, self.title, head, rows, list(self._records()))

    def _records(self) -> Iterator[dict[str, Any]]:
        for label, rates in self.rows:
            for name, rate in zip(self.columns, rates, strict=True):
                if rate:
                    yield {"model": label, "system": name, **_numbers(rate.score), "paper": rate.paper}


def is_in_paper(experiment: Experiment) -> bool:
    """Whether it has the layers of one of the paper's networks."""
    return (experiment.recurrent, experiment.layers) in _PAPER


def _percent(rate: Rate | None) -> str:
    return f"{rate.score.accuracy.rate:.2%}" if rate else "-"


def _numbers(score: FrameScore | TrackScore) -> dict[str, Any]:
    low, high = score.interval
    return {**score.accuracy.as_dict(), "low": low, "high": high}


def _with_interval(score: FrameScore | TrackScore | None) -> str:
    if not score:
        return "–"
    low, high = score.interval
    return f"{score.accuracy.rate:.2%} [{low:.1%}, {high:.1%}]"


def table2(experiments: Sequence[Experiment]) -> AccuracyTable:
    """Baseline models and LSTM models: frame accuracy, and segment accuracy by majority vote."""
    title = "Table 2. Baseline models and LSTM RNN models on the initial frame feature"
    rows = [(e.label, [_frame_rate(e), _rate(e, MAJORITY_VOTE)]) for e in experiments if e.layers]
    return AccuracyTable("table2", title, "model(layers)", ["Frame", "Seg"], rows)


def table4(experiments: Sequence[Experiment]) -> AccuracyTable:
    """Segment features: majority vote, SVM on the LSTM segment feature, SVM on the fused one; more where there are
    more. Below the networks the baselines, which have a column of their own."""
    networks = [e for e in experiments if e.has_segments]
    names = list(dict.fromkeys([MAJORITY_VOTE, LSEG, FSEG, *(name for e in networks for name in e.score.tracks)]))
    baselines = systems(e for e in experiments if not e.layers)
    rows: list[tuple[str, Sequence[Rate | None]]] = [
        (e.label, [_rate(e, name) for name in names] + [None] * bool(baselines)) for e in networks
    ]
    rows += [(system.label, [*[None] * len(names), Rate(system.score, None)]) for system in baselines]
    columns = [*map(column, names), *[_BASELINE] * bool(baselines)]
    return AccuracyTable("table4", "Table 4. Segment features", "model(LSTM layer)", columns, rows)


def _rate(experiment: Experiment, system: str) -> Rate | None:
    return _as_rate(experiment, experiment.score.tracks.get(system), column(system))


def _frame_rate(experiment: Experiment) -> Rate | None:
    return _as_rate(experiment, experiment.score.frames, "Frame")


def _as_rate(experiment: Experiment, score: FrameScore | TrackScore | None, name: str) -> Rate | None:
    if not score:
        return None
    paper = _PAPER.get((experiment.recurrent, experiment.layers), {})
    return Rate(score, paper.get(name))


class ScoredSystem(NamedTuple):
    """Something that decides on tracks: the majority vote of a network, a segment classifier on top, a baseline."""

    experiment: Experiment
    name: str
    score: TrackScore

    @property
    def label(self) -> str:
        """As in the tables: LSTM(525-512-6) FSeg."""
        if self.experiment.layers:
            return f"{self.experiment.label} {column(self.name)}"
        alone = len(self.experiment.score.tracks) == 1
        return self.experiment.label if alone else f"{self.experiment.label}, {self.name}"


def systems(experiments: Iterable[Experiment]) -> list[ScoredSystem]:
    """All systems of all experiments."""
    return [ScoredSystem(e, name, score) for e in experiments for name, score in e.score.tracks.items()]


def recall_table(experiments: Sequence[Experiment]) -> ReportTable:
    """Share of each genre's tracks that are called so, and the mean over the genres."""
    genres = list(dict.fromkeys(genre for e in experiments for genre in e.score.genres))
    rows, records = [], []
    for system in systems(experiments):
        recalls = system.score.recalls
        cells = [f"{recalls[genre].rate:.1%}" if genre in recalls else "–" for genre in genres]
        rows.append([system.label, *cells, f"{system.score.macro_recall:.1%}"])
        records += [{"system": system.label, "genre": g, **recall.as_dict()} for g, recall in recalls.items()]
        average = {"accuracy": system.score.macro_recall, "correct": None, "total": None}
        records.append({"system": system.label, "genre": "macro average", **average})
    return ReportTable("recall", "Recall of each genre", ["system", *genres, "macro average"], rows, records)


def mcnemar_table(experiments: Sequence[Experiment]) -> ReportTable:
    """p of McNemar's exact test for every two systems; * where below 0.05."""
    every = systems(experiments)
    rows, records = [], []
    for k, system in enumerate(every):
        tests = {other.label: mcnemar(system.score, other.score) for other in every[:k]}
        cells = [show_p(test.p) + "*" * (test.p < 0.05) for test in tests.values()]
        to_the_right = [""] * (len(every) - 1 - k)
        rows.append([f"{k + 1} {system.label}", f"{system.score.accuracy.rate:.2%}", *cells, *to_the_right])
        records += [{"first": system.label, "second": other, **test._asdict()} for other, test in tests.items()]
    head = ["system", "accuracy", *map(str, range(1, len(every)))]
    return ReportTable("mcnemar", "p of McNemar's exact test", head, rows, records)


def show_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def splits_table(
    split: str, experiments: Sequence[Experiment], others: Mapping[str, Sequence[Experiment]]
) -> ReportTable:
    """The accuracy on tracks of each system on this split, and beside it on others (by name); where a split has tracks
    of known artists and of others, on each kind as well."""
    columns: dict[str, dict[str, TrackScore]] = {}
    for name, of in {split: experiments, **others}.items():
        for system in systems(of):
            columns.setdefault(name, {})[system.label] = system.score
            for artists, score in system.experiment.score.by_artists(system.name).items():
                columns.setdefault(f"{name}, {artists}", {})[system.label] = score
    rows, records = [], []
    for label in columns[split]:
        scores = {name: of.get(label) for name, of in columns.items()}
        rows.append([label, *(_with_interval(score) for score in scores.values())])
        records += [{"system": label, "split": name, **_numbers(score)} for name, score in scores.items() if score]
    return ReportTable("splits", "Accuracy on tracks, split by split", ["system", *columns], rows, records)


def artists_table(splits: Mapping[str, Sequence[Experiment]]) -> ReportTable:
    """How many test tracks are by artists of the training data, by the name of the split, where that was looked at."""
    reports = {name: next((e.score for e in of if e.score.known is not None), None) for name, of in splits.items()}
    records = [
        {"split": name, "tracks": len(score.truth), "by known artists": len(score.known or ())}
        | ({"artist unknown": len(score.unknown)} if any(s.unknown for s in reports.values() if s) else {})
        for name, score in reports.items()
        if score
    ]
    head = list(records[0]) if records else []
    rows = [[str(record[cell]) for cell in head] for record in records]
    return ReportTable("artists", "Test tracks by artists of the training set", head, rows, records)


def networks_table(experiments: Sequence[Experiment]) -> ReportTable:
    """What training came to on the tracks that were held out of it, from which `lstmgenre bundle` chooses."""
    records: list[dict[str, Any]] = [
        {"model": e.label, "epochs": curve[-1].iteration, "held-out loss": History.read(e.directory).held_out_loss}
        for e in experiments
        if (curve := e.curve())
    ]
    rows = [[record["model"], str(record["epochs"]), f"{record['held-out loss']:.4f}"] for record in records]
    return ReportTable("networks", "Networks on held-out frames", ["model", "epochs", "held-out loss"], rows, records)
