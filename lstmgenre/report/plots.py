"""Which figures a report has, what stands below them, and what they show in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from lstmgenre.errors import DataError
from lstmgenre.report import figures
from lstmgenre.report.document import Findings
from lstmgenre.report.render import Plot
from lstmgenre.report.results import systems
from lstmgenre.text import counted

logger = logging.getLogger(__name__)


def plots(findings: Findings) -> list[Plot]:
    """Figure 2 of the first LSTM, as in the paper; Figure 3; confusion matrices and learning curves of all."""
    return [*_scores(findings), *_thresholds(findings), *_confusions(findings), *_learning_curves(findings)]


def _scores(findings: Findings) -> Iterator[Plot]:
    network = next((e for e in findings.experiments if e.recurrent), None)
    if not network:
        return
    try:
        every = network.posteriors(findings.split)
    except DataError as error:
        logger.warning("Figure 2 is left out: %s", error)
        return
    truth = network.score.truth
    posteriors = {utterance: frames for utterance, frames in every.items() if utterance in truth}
    yield Plot(
        "figure2",
        f"{_figure(2, findings)}(a) maximum, (b) minimum and (c) mean score of each genre in each track, and (d) the "
        f"scores of all frames, by {network.label}. Tracks stand in the order of their true genres.",
        f"Scores of {counted(len(posteriors), 'track')} for each genre, 0 to 1, in four panels with a part for each "
        "true genre.",
        **figures.render(partial(figures.scores, posteriors, truth, network.score.genres)),
    )


def _figure(number: int, findings: Findings) -> str:
    return f"Figure {number} of the paper: " if findings.of_paper else "Here: "


def _thresholds(findings: Findings) -> Iterator[Plot]:
    if findings.thresholds:
        yield Plot(
            "figure3",
            f"{_figure(3, findings)}accuracy on tracks of the SVMs on LSeg and FSeg features over the threshold k.",
            "A line of accuracy over k for each SVM in a panel for each network; the numbers are in the table below.",
            **figures.render(partial(figures.thresholds, findings.thresholds)),
        )


def _confusions(findings: Findings) -> Iterator[Plot]:
    for e in findings.experiments:
        scores = {system.label: system.score for system in systems([e])}
        yield Plot(
            f"confusion-{e.name}",
            f"{e.label}: tracks by true genre (row) and decision (column); the shade is the share of the row.",
            f"Confusion matrices of {', '.join(scores)}; the diagonals are in the table of recalls.",
            **figures.render(partial(figures.confusion, scores)),
        )


def _learning_curves(findings: Findings) -> Iterator[Plot]:
    curves = {e.label: epochs for e in findings.experiments if (epochs := e.curve())}
    for quantity, unit in ("loss", "cross-entropy per frame"), ("accuracy", "frame accuracy in %"):
        if curves:
            yield Plot(
                f"learning-{quantity}",
                f"{unit.capitalize()} on training and held-out frames over the epochs; a cross is a rejected epoch.",
                f"Curves of {quantity} over epochs in a panel for each of {', '.join(curves)}.",
                **figures.render(partial(figures.learning_curves, curves, quantity, unit)),
            )
