"""Figures 2 and 3 of the paper, confusion matrices and learning curves, drawn with matplotlib.

Each function draws one figure in the colours that are set: `render` sets them for light paper and for dark.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lstmgenre.expdir import Epoch
from lstmgenre.report.results import column as column_of
from lstmgenre.report.thresholds import Curve
from lstmgenre.scoring import TrackScore

# Ten colours that people with colour-blindness tell apart as well: M. Petroff, arXiv:2107.02270.
_COLOURS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
]

_COMMON: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "legend.frameon": False,
    "svg.hashsalt": "lstmgenre",  # the same numbers give the same file
    "text.parse_math": False,  # a genre may have a $ in its name
}


def _theme(background: str, ink: str, faint: str, colours: Sequence[str]) -> dict[Any, Any]:
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    return (
        _COMMON
        | dict.fromkeys(inks, ink)
        | {
            "figure.facecolor": background,
            "axes.facecolor": background,
            "savefig.facecolor": background,
            "grid.color": faint,
            "axes.prop_cycle": cycler(color=colours),
        }
    )


def _lighter(colour: str) -> str:
    red, green, blue = (0.7 * part + 0.3 for part in to_rgb(colour))
    return to_hex((red, green, blue))


_LIGHT = _theme("#ffffff", "#1d2329", "#d5dade", _COLOURS)
_DARK = _theme("#14181c", "#dde3e8", "#3a434b", [_lighter(colour) for colour in _COLOURS])


def render(draw: Callable[[], Figure]) -> dict[str, bytes]:
    """Draw a figure on light and on dark paper; gives the files png, svg and dark_svg."""
    with mpl.rc_context(_LIGHT):
        light = draw()
        files = {"png": _save(light, "png"), "svg": _save(light, "svg")}
    with mpl.rc_context(_DARK):
        return files | {"dark_svg": _save(draw(), "svg")}


def _save(figure: Figure, format: str) -> bytes:
    stream = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else None
    figure.savefig(stream, format=format, dpi=160, metadata=metadata, bbox_inches="tight")
    return stream.getvalue()


def scores(posteriors: Mapping[str, np.ndarray], truth: Mapping[str, str], genres: Sequence[str]) -> Figure:
    """Figure 2: maximum, minimum and mean score of each genre in each track, and the scores of frames.

    posteriors: (frames, C) by utterance. Tracks stand in the order of their true genres, and the dotted lines
    between those.
    """
    order = sorted(posteriors, key=lambda utterance: (genres.index(truth[utterance]), utterance))
    matrices = [posteriors[utterance] for utterance in order]
    labels = np.array([genres.index(truth[utterance]) for utterance in order])
    figure = Figure(figsize=(10, 9))
    axes = figure.subplots(4, 1)
    statistics = np.array([[m.max(axis=0), m.min(axis=0), m.mean(axis=0)] for m in matrices])  # (tracks, 3, C)
    for k, title in enumerate(("(a) maximum", "(b) minimum", "(c) mean")):
        _scores_panel(axes[k], f"{title} score of each track", statistics[:, k], labels, genres)
    frame_labels = np.repeat(labels, [len(matrix) for matrix in matrices])
    _scores_panel(axes[3], "(d) score of each frame", np.concatenate(matrices), frame_labels, genres)
    axes[2].set_xlabel("track")
    axes[3].set_xlabel("frame")
    handles = [Line2D([], [], marker="o", linestyle="", color=f"C{k}", label=g) for k, g in enumerate(genres)]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(genres), 6), title="score of")
    return figure


def _scores_panel(axes: Axes, title: str, values: np.ndarray, labels: np.ndarray, genres: Sequence[str]) -> None:
    size = float(np.clip(4000 / len(values), 0.3, 12))
    # In an order drawn by lot, or the last genre would hide the others wherever points are dense.
    points = np.random.default_rng(0).permutation(values.size)
    rows, classes = np.unravel_index(points, values.shape)
    colours = np.array([to_rgb(f"C{k}") for k in range(values.shape[1])])
    # A million points would make the SVG unreadable: they go into it as an image.
    axes.scatter(rows, values[rows, classes], s=size, c=colours[classes], linewidths=0, alpha=0.7, rasterized=True)
    edges = np.flatnonzero(np.diff(labels)) + 0.5
    for edge in edges:
        axes.axvline(edge, linestyle=":", color=mpl.rcParams["text.color"], linewidth=1)
    bounds = np.concatenate([[-0.5], edges, [len(labels) - 0.5]])
    # Where there is little room the names stand on two levels.
    rise = 0.14 if np.diff(bounds).min() < 0.09 * len(labels) else 0
    for part, (start, end) in enumerate(pairwise(bounds)):
        genre = genres[labels[int(start + 1)]]
        axes.text((start + end) / 2, 1.06 + part % 2 * rise, genre, ha="center", va="bottom", fontsize="small")
    axes.set(xlim=(-0.5, len(values) - 0.5), ylim=(-0.03, 1.05), ylabel="score")
    axes.set_title(title, loc="left", pad=28 if rise else 18)


def thresholds(networks: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Figure 3: accuracy over the threshold k of every segment classifier, a panel for each network (by label)."""
    figure, panels = _panels(list(networks), "threshold k", "accuracy on tracks")
    names = list(dict.fromkeys(system for curves in networks.values() for system in curves))
    for axes, curves in zip(panels, networks.values(), strict=True):
        for system, curve in curves.items():
            k = names.index(system)
            axes.plot(
                list(curve),
                [accuracy.rate for accuracy in curve.values()],
                color=f"C{k}",
                marker="os^vDP*X"[k % 8],
                markersize=4,
                linestyle=("--", "-")[k % 2],
                label=column_of(system),
            )
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    return _with_legend(figure)


def confusion(scores: Mapping[str, TrackScore]) -> Figure:
    """A matrix of counts for each system (by label); the shade is the share of the true genre's tracks."""
    size = 1.2 + 0.4 * len(next(iter(scores.values())).genres)  # inches
    figure, panels = _grid(len(scores), size, size)
    paper = mpl.rcParams["axes.facecolor"]
    for k, (axes, (label, score)) in enumerate(zip(panels, scores.items(), strict=True)):
        counts = score.confusion
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, vmin=0, vmax=1, cmap=LinearSegmentedColormap.from_list("shares", [paper, "#1f5fa8"]))
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if shares[row, column] > 0.5 else mpl.rcParams["text.color"]
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize="small")
        ticks = range(len(score.genres))
        axes.set_xticks(ticks, score.genres, rotation=45, ha="right", rotation_mode="anchor")
        first = k % _columns(len(scores)) == 0
        axes.set_yticks(ticks, score.genres if first else [""] * len(score.genres))
        axes.set(title=f"{label}\n{score.accuracy.rate:.2%}", xlabel="decision")
        axes.tick_params(length=0)
        if first:
            axes.set_ylabel("true genre")
    return figure


def learning_curves(curves: Mapping[str, Sequence[Epoch]], quantity: str, unit: str) -> Figure:
    """`quantity` (loss or accuracy) over epochs on training and held-out frames, a panel for each network (by label);
    a cross is an epoch that was rejected."""
    figure, panels = _panels(list(curves), "epoch", unit)
    for axes, epochs in zip(panels, curves.values(), strict=True):
        for k, (prefix, name) in enumerate((("train", "training"), ("cv", "held out"))):
            # The initial net has no training numbers.
            points = [(e.iteration, value) for e in epochs if (value := getattr(e, f"{prefix}_{quantity}")) is not None]
            axes.plot(*np.array(points).reshape(-1, 2).T, color=f"C{k}", label=name)
        rejected = [(e.iteration, getattr(e, f"cv_{quantity}")) for e in epochs if not e.accepted]
        if rejected:
            axes.plot(*np.array(rejected).T, "x", color="C1", label="rejected")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _with_legend(figure)


def _panels(titles: Sequence[str], x: str, y: str) -> tuple[Figure, list[Axes]]:
    """A panel for each title, with common axes."""
    figure, panels = _grid(len(titles), 3.2, 2.4, sharey=True)
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.grid(axis="y")
    figure.supxlabel(x, fontsize="medium")
    figure.supylabel(y, fontsize="medium")
    return figure, panels


def _grid(count: int, width: float, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of about this size, in inches."""
    columns = _columns(count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1 + width * columns, 0.7 + height * rows))
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _columns(count: int) -> int:
    return 2 if count == 4 else min(count, 3)


def _with_legend(figure: Figure) -> Figure:
    handles = {name: h for axes in figure.axes for h, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles))
    return figure
