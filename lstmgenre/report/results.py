"""Accuracies beside the paper's, with intervals; recalls; which differences are more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lstmgenre.report.experiments import FSEG, FSEG_CF, LSEG, LSEG_CF, Experiment
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

# What the paper calls each system; one that it does not have goes by its own name.
_SYSTEMS = {MAJORITY_VOTE: "Seg", LSEG: "LSeg", FSEG: "FSeg", LSEG_CF: "LSeg-cf", FSEG_CF: "FSeg-cf"}


class Table(NamedTuple):
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

    def as_text(self) -> str:
        """As in the paper: no more than the accuracies."""
        width = max(len(label) for label in (self.corner, *(label for label, _ in self.rows)))
        widths = [max(9, len(f"{column} acc")) for column in self.columns]
        head = [f"{column} acc" for column in self.columns]
        lines = [self.title, ""]
        for label, cells in [(self.corner, head), *((label, [*map(_percent, rates)]) for label, rates in self.rows)]:
            columns = (f"  {cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
            lines.append(f"{label:<{width}}{''.join(columns)}")
        return "\n".join(lines)

    def as_table(self) -> Table:
        """With intervals, and a column of the paper's accuracies behind each of ours that it has."""
        in_paper = [any((rate := rates[k]) and rate.paper for _, rates in self.rows) for k in range(len(self.columns))]
        head = [self.corner]
        for column, paper in zip(self.columns, in_paper, strict=True):
            head += [f"{column} acc", "paper"] if paper else [f"{column} acc"]
        rows = []
        for label, rates in self.rows:
            cells = [label]
            for rate, paper in zip(rates, in_paper, strict=True):
                cells.append(_with_interval(rate and rate.score))
                if paper:
                    cells.append(f"{rate.paper:.2%}" if rate and rate.paper else "")
            rows.append(cells)
        return Table(self.name, self.title, head, rows, list(self._records()))

    def _records(self) -> Iterator[dict[str, Any]]:
        for label, rates in self.rows:
            for column, rate in zip(self.columns, rates, strict=True):
                if rate:
                    low, high = rate.score.interval
                    numbers = {**rate.score.accuracy.as_dict(), "low": low, "high": high, "paper": rate.paper}
                    yield {"model": label, "system": column, **numbers}


def _percent(rate: Rate | None) -> str:
    return f"{rate.score.accuracy.rate:.2%}" if rate else "-"


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
    more. Below the networks the baselines, one decision per track each."""
    networks = [e for e in experiments if e.has_segments]
    present = {name for e in networks for name in e.score.tracks} | {MAJORITY_VOTE, LSEG, FSEG}
    names = [*(name for name in _SYSTEMS if name in present), *sorted(present - _SYSTEMS.keys())]
    rows: list[tuple[str, Sequence[Rate | None]]] = [(e.label, [_rate(e, name) for name in names]) for e in networks]
    for system in systems(e for e in experiments if not e.layers):
        rows.append((system.label, [_rate(system.experiment, system.name), *[None] * (len(names) - 1)]))
    title = "Table 4. Segment features"
    return AccuracyTable("table4", title, "model(LSTM layer)", [_SYSTEMS.get(name, name) for name in names], rows)


def _rate(experiment: Experiment, system: str) -> Rate | None:
    return _as_rate(experiment, experiment.score.tracks.get(system), _SYSTEMS.get(system, system))


def _frame_rate(experiment: Experiment) -> Rate | None:
    return _as_rate(experiment, experiment.score.frames, "Frame")


def _as_rate(experiment: Experiment, score: FrameScore | TrackScore | None, column: str) -> Rate | None:
    if not score:
        return None
    paper = _PAPER.get((experiment.recurrent, experiment.layers), {})
    return Rate(score, paper.get(column))


class System(NamedTuple):
    """Something that decides on tracks: the majority vote of a network, a segment classifier on top, a baseline."""

    experiment: Experiment
    name: str
    score: TrackScore

    @property
    def label(self) -> str:
        """As in the tables: LSTM(525-512-6) FSeg."""
        if self.experiment.layers:
            return f"{self.experiment.label} {_SYSTEMS.get(self.name, self.name)}"
        alone = len(self.experiment.score.tracks) == 1
        return self.experiment.label if alone else f"{self.experiment.label}, {self.name}"


def systems(experiments: Iterable[Experiment]) -> list[System]:
    """All systems of all experiments."""
    return [System(e, name, score) for e in experiments for name, score in e.score.tracks.items()]


def recall_table(experiments: Sequence[Experiment]) -> Table:
    """Share of each genre's tracks that are called so, and the mean over the genres."""
    genres = list(dict.fromkeys(genre for e in experiments for genre in e.score.genres))
    rows, records = [], []
    for system in systems(experiments):
        recalls = system.score.recalls
        cells = [f"{recalls[genre].rate:.1%}" if genre in recalls else "–" for genre in genres]
        rows.append([system.label, *cells, f"{system.score.macro_recall:.1%}"])
        records += [{"system": system.label, "genre": g, **recall.as_dict()} for g, recall in recalls.items()]
    return Table("recall", "Recall of each genre", ["system", *genres, "macro average"], rows, records)


def mcnemar_table(experiments: Sequence[Experiment]) -> Table:
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
    return Table("mcnemar", "p of McNemar's exact test", head, rows, records)


def show_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def splits_table(split: str, experiments: Sequence[Experiment], others: Mapping[str, Sequence[Experiment]]) -> Table:
    """The accuracy on tracks of each system on this split, and beside it on others (by name)."""
    splits = {name: {s.label: s.score for s in systems(of)} for name, of in {split: experiments, **others}.items()}
    rows, records = [], []
    for label in splits[split]:
        scores = {name: by_label.get(label) for name, by_label in splits.items()}
        rows.append([label, *(_with_interval(score) for score in scores.values())])
        records += [
            {"system": label, "split": name, **score.accuracy.as_dict()} for name, score in scores.items() if score
        ]
    return Table("splits", "Accuracy on tracks, split by split", ["system", *splits], rows, records)
