"""Options that are numbers. Each has a range: what lies outside makes no sense, or finds no room in a machine."""

from __future__ import annotations

import math
import re
from typing import Any

import typer

MOST_DELAY = 1000  # frames; lstmgenre.expdir.history takes no more
MOST_FOLDS = 1000
MOST_EPOCHS = 10_000
MOST_TRACKS = 10**9


def seed(help: str) -> Any:
    """--seed: what numpy, PyTorch and scikit-learn all take."""
    return typer.Option("--seed", min=0, max=2**32 - 1, help=help)


def jobs(help: str, fewest: int = 1) -> Any:
    """--nj."""
    return typer.Option("--nj", min=fewest, max=10_000, help=help)


def nodes(help: str) -> Any:
    """The width of a layer; the paper's are up to 1500."""
    return whole(1, 2**14, help)


def whole(low: int, high: int, help: str, metavar: str | None = None) -> Any:
    """A whole number from `low` to `high`."""
    return typer.Option(min=low, max=high, help=help, metavar=metavar)


def real(low: float, high: float, help: str | None = None, *names: str) -> Any:
    """A number from `low` to `high`; the ranges of older Typers let nan pass."""
    return typer.Option(*names, min=low, max=high, callback=_finite, help=help)


def percentage(help: str) -> Any:
    """A share that is written as 5%, or as .05."""
    return typer.Option(parser=_share, metavar="PERCENT%", help=help)


def _share(value: str | float) -> float:
    number = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)(%?)", str(value))
    share = float(number[1]) / (100 if number[2] else 1) if number else -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{str(value)[:40]} is no share: write 5%, from 0% to 100%")
    return share


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value
