"""What the report says: sections of text, tables and figures, from the findings of an experiment directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from lstmgenre import selection
from lstmgenre.expdir import History, Run
from lstmgenre.report.experiments import FSEG, Experiment
from lstmgenre.report.render import Block, Code, Plot, Section
from lstmgenre.report.results import (
    PAPER_TRACKS,
    ReportTable,
    ScoredSystem,
    artists_table,
    is_in_paper,
    mcnemar_table,
    networks_table,
    recall_table,
    show_p,
    splits_table,
    systems,
    table2,
    table4,
)
from lstmgenre.report.thresholds import Curve, thresholds_table
from lstmgenre.scoring import MAJORITY_VOTE, Accuracy, mcnemar
from lstmgenre.text import counted


@dataclass
class Findings:
    """All that a report tells. What could not be found out is empty, and left out."""

    split: str
    experiments: Sequence[Experiment]
    others: Mapping[str, Sequence[Experiment]] = field(default_factory=dict)
    """The same systems on other splits, by the name of the split."""
    thresholds: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    """Figure 3 by the label of the network and the name of the system."""
    runs: Sequence[tuple[Path, Run]] = ()
    plots: Sequence[Plot] = ()
    """None without matplotlib."""

    @property
    def of_cross_validation(self) -> bool:
        """Whether the scores are those that a system was chosen by."""
        return any(selection.CHOICE in e.score.tracks for e in self.experiments)

    @property
    def of_ismir2004(self) -> bool:
        return any(run.name == "prep-data ismir2004" for _, run in self.runs)

    @property
    def of_paper(self) -> bool:
        """Whether there is anything that the paper has, too: its corpus, or one of its networks."""
        return self.of_ismir2004 or any(is_in_paper(e) for e in self.experiments)


def sections(findings: Findings) -> list[Section]:
    """The report, in the order of the paper."""
    experiments = findings.experiments
    drafts: list[tuple[str, list[Block]]] = [
        ("Summary", _summary(findings)),
        ("Frames and majority vote", _frames(findings)),
        ("Segment features", _segments(findings)),
        ("What the paper says", _PAPER_SAYS if findings.of_paper else []),
        ("Scores of tracks and frames", _plots(findings, "figure2")),
        ("The threshold k", _thresholds(findings)),
        ("Genre by genre", [_balance(findings), recall_table(experiments), *_plots(findings, "confusion")]),
        ("Is a difference more than chance?", _significance(findings)),
        ("Artists and honest splits", _splits(findings)),
        ("Learning curves", _learning(findings)),
        ("How this was made", _made(findings.runs)),
    ]
    return [Section(title, blocks) for title, blocks in drafts if blocks]


_INTERVALS = (
    "In brackets: 95% intervals. Tracks count as independent (those of one artist are not quite) and have Wilson's "
    "interval. The frames of a track are right or wrong together, so that the interval of a frame accuracy comes from "
    "resampling tracks (percentile bootstrap, seeded)."
)
_PAPER_COLUMN = (
    "A column named paper has the accuracy from the paper's Table 2 or 4, on its corpus, where the layers are the same."
)
_CROSS_FIT = (
    "For LSeg-cfN and FSeg-cfN the SVM learns on posteriors of networks that had not seen the track in training, as is "
    "the case for every test track, in N folds. Otherwise it learns on posteriors of tracks that its network was "
    "trained on, which look better than those of new ones."
)
_SELECTED = (
    "Systems with -sel have k and C chosen by cross-validation on training tracks, artists apart; the others have the "
    "configured ones."
)
_CHOICE = (
    "choice is what it is worth to choose system, k and C in this way: nested cross-validation, where each fold is "
    "decided by what wins on the others. The figure of the system that was chosen flatters it beside that."
)
_ISMIR2004 = (
    "Each of the 729 tracks of ISMIR 2004's evaluation part is by an artist of its training part: accuracy on it tells "
    "in part how well a system knows its artists. The artists of the development part, the paper's test set, are "
    "anonymised (artist_1, ...): by their names they are strangers to the training set, but there are as many of them "
    "in each genre as there, and no more can be told. On the split called artist, training and evaluation part "
    "(without one, the test part) are divided anew, and every artist is on one side only: beside accuracy on the "
    "evaluation part as it is, that shows what knowing the artist is worth."
)
_MCNEMAR = (
    "McNemar's exact test (two-sided) looks at the tracks that one system has right and the other wrong. * marks p "
    "below 0.05. There are many tests here and p is not corrected for their number: of 100 pairs without any true "
    "difference, some five would get a *."
)


def _percent(accuracy: Accuracy) -> str:
    low, high = accuracy.wilson
    return f"{accuracy.rate:.2%} (95% interval {low:.1%} to {high:.1%})"


_PAPER_SAYS: list[Block] = [
    "The best accuracy of the paper is 89.71%, of FSeg with LSTM(525-512-6). That is 4.39 points over its "
    "baseline-DNN1 (85.32%) and 2.19 points over the majority vote of the same LSTM (87.52%). The 4.19 points over "
    "the DNN that its abstract and section 4.3 give do not follow from its tables.",
    # 89.71 % of 729 is 654 tracks, and so on: the counts that the paper's percentages come from.
    f"The paper gives no intervals. On its {PAPER_TRACKS} tracks they would be: FSeg "
    f"{_percent(Accuracy(654, PAPER_TRACKS))}, majority vote {_percent(Accuracy(638, PAPER_TRACKS))}, baseline-DNN1 "
    f"{_percent(Accuracy(622, PAPER_TRACKS))}.",
]


def _balance(findings: Findings) -> str:
    example = ": 320 of the paper's 729 test tracks, 44%, are classical" if findings.of_paper else ""
    return (
        "Recall is the share of a genre's tracks that are called so. An accuracy over unequal genres is mostly about "
        f"the large ones{example}. The macro average counts each genre alike."
    )


def _summary(findings: Findings) -> list[Block]:
    every = systems(findings.experiments)
    best = _best(every)
    counts = f"{counted(best.score.accuracy.total, 'track')} of {counted(len(best.score.recalls), 'genre')}"
    where = "in cross-validation" if findings.of_cross_validation else f"of the split {findings.split}"
    gains = [
        f"{100 * (best.score.accuracy.rate - other.score.accuracy.rate):.2f} points over {other.label} "
        f"(McNemar's p {show_p(mcnemar(best.score, other.score).p)})"
        for other in _references(every, best)
    ]
    seen = sorted((e.score for e in findings.experiments if e.score.seen), key=lambda score: -len(score.seen))
    seen_by = f"{best.label} with {_percent(best.score.accuracy)}"
    recall = f"a macro average recall of {best.score.macro_recall:.2%}{''.join(f', {gain}' for gain in gains)}"
    scored = (
        f"1 system was scored on the {counts} {where}: {seen_by} and {recall}."
        if len(every) == 1
        else f"{len(every)} systems were scored on the {counts} {where}. The best of them is "
        f"{seen_by} and {recall}. It was chosen by these very tracks, which flatters it."
    )
    return [*(f"This is no test score: {score.about_seen()}." for score in seen[:1]), scored]


def _best(every: Sequence[ScoredSystem]) -> ScoredSystem:
    return max(every, key=lambda system: system.score.accuracy.rate)


def _references(every: Sequence[ScoredSystem], best: ScoredSystem) -> Iterator[ScoredSystem]:
    """What the paper compares its best system with: the first DNN, and the majority vote of the same network."""
    dnns = [system for system in every if system.experiment.layers and not system.experiment.recurrent]
    votes = [system for system in every if system.experiment is best.experiment and system.name == MAJORITY_VOTE]
    return (system for system in (*dnns[:1], *votes) if system is not best)


def _frames(findings: Findings) -> list[Block]:
    table = _titled(table2(findings.experiments).as_table(), findings)
    return [table, _INTERVALS, *([_PAPER_COLUMN] if "paper" in table.head else [])] if table.rows else []


def _titled(table: ReportTable, findings: Findings) -> ReportTable:
    """Without the number of the paper's table where nothing is the paper's."""
    return table if findings.of_paper else table._replace(title=table.title.partition(". ")[2])


def _significance(findings: Findings) -> list[Block]:
    table = mcnemar_table(findings.experiments)
    return [_MCNEMAR, table] if table.records else []


def _segments(findings: Findings) -> list[Block]:
    table = _titled(table4(findings.experiments).as_table(), findings)
    if not table.rows:
        return []
    names = [name for e in findings.experiments for name in e.segment_systems]
    cross_fit = [_CROSS_FIT] if any("_cf" in name for name in names) else []
    selected = [_SELECTED] if any(name.endswith("_sel") for name in names) else []
    choice = [_CHOICE] if findings.of_cross_validation else []
    return [table, *cross_fit, *selected, *choice]


def _thresholds(findings: Findings) -> list[Block]:
    if not findings.thresholds:
        return []
    text = (
        "For each k of equation 14 the segment features were pooled and the SVMs trained anew, with the C and from the "
        "posteriors of the SVMs in the tables. Taking the best of these test accuracies would be choosing k by the "
        "test set; select-svm chooses it on training tracks."
    )
    return [text, *_plots(findings, "figure3"), thresholds_table(findings.thresholds)]


def _splits(findings: Findings) -> list[Block]:
    splits = {findings.split: findings.experiments, **findings.others}
    artists = artists_table(splits)
    blocks: list[Block] = [*([_ISMIR2004] if findings.of_ismir2004 else []), *([artists] if artists.rows else [])]
    best = _best(systems(findings.experiments))
    for name, others in findings.others.items():
        for other in systems(others):
            if other.label == best.label:
                gain = 100 * (other.score.accuracy.rate - best.score.accuracy.rate)
                blocks.append(
                    f"{best.label}, the best on {findings.split}, has {_percent(other.score.accuracy)} on {name}: "
                    f"{gain:+.2f} points. Tracks, and where splits differ by artist training sets, are not the same."
                )
    return [*blocks, splits_table(findings.split, findings.experiments, findings.others)]


def _learning(findings: Findings) -> list[Block]:
    table = networks_table(findings.experiments)
    blocks = [*_plots(findings, "learning"), table] if table.rows else []
    told = (e for e in findings.experiments if not (e.directory / selection.NAME).exists())  # there another decides
    lstms = [e for e in told if FSEG in e.score.tracks and e.curve()]
    if lstms:
        chosen = min(lstms, key=lambda e: History.read(e.directory).held_out_loss)
        blocks.append(
            "Of several LSTMs lstmgenre bundle takes the one with the lowest held-out loss, and its fused SVM: a "
            f"choice in which no test track has a part. Of these that is {chosen.label}, whose FSeg has "
            f"{_percent(chosen.score.tracks[FSEG].accuracy)} on {findings.split}."
        )
    return blocks


def _plots(findings: Findings, prefix: str) -> list[Block]:
    return [plot for plot in findings.plots if plot.name.startswith(prefix)]


def _made(runs: Sequence[tuple[Path, Run]]) -> list[Block]:
    if not runs:
        return []
    versions: dict[str, set[str]] = {}
    for _, run in runs:
        for name, version in run.versions.items():
            versions.setdefault(name, set()).add(version)
    rows = [[name, ", ".join(sorted(several))] for name, several in versions.items()]
    records = [{"name": name, "version": version} for name, several in versions.items() for version in sorted(several)]
    return [
        "A command that was run again and found its work done shows the time of the run that did it. One that had not "
        "ended when this was written, as the one that wrote this, shows no time, nor does one that wrote an archive.",
        ReportTable("versions", "Versions", ["name", "version"], rows, records),
        _runs_table(runs),
        Code([run.command for _, run in runs]),
    ]


def _runs_table(runs: Sequence[tuple[Path, Run]]) -> ReportTable:
    rows = [
        [str(where), run.name, "–" if run.seed is None else str(run.seed), run.started, _duration(run.seconds)]
        for where, run in runs
    ]
    records = [
        {
            "directory": str(where),
            "command": run.name,
            "line": run.command,
            "seed": run.seed,
            "started": run.started,
            "seconds": run.seconds,
        }
        for where, run in runs
    ]
    return ReportTable("runs", "Commands", ["directory", "command", "seed", "started", "took"], rows, records)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
