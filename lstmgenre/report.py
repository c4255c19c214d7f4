"""Tables 2 and 4 of the paper from the experiments of a recipe.

An experiment is a directory EXP_ROOT/NAME with final.nnet, genres and SPLIT/score.json (from `lstmgenre score --json`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmgenre.errors import DataError, FormatError
from lstmgenre.nnet1.components import AffineTransform, LstmProjected
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.scoring import MAJORITY_VOTE

LSEG, FSEG = "lseg", "fseg"  # the names under which the recipe trains the SVMs on LSTM and fused segment features


@dataclass(frozen=True)
class Experiment:
    """One trained network and its scores on a test set."""

    name: str
    layers: str  # as the paper writes them: 525-512-6
    recurrent: bool
    score: dict[str, Any]

    @property
    def frame_accuracy(self) -> float | None:
        return self.score["frames"]["accuracy"] if self.score["frames"] else None

    def track_accuracy(self, system: str) -> float | None:
        track = self.score["tracks"].get(system)
        return track["accuracy"] if track else None


def read_experiments(root: Path, split: str = "test") -> list[Experiment]:
    """The scored experiments below `root`, by name. Raises DataError if there is none."""
    experiments = [_read(path.parent.parent, path) for path in sorted(root.glob(f"*/{split}/score.json"))]
    if not experiments:
        raise DataError(f"{root}: no */{split}/score.json below it: run the recipe to its scoring stage first")
    return experiments


def _read(directory: Path, score: Path) -> Experiment:
    nnet = Nnet.read(directory / "final.nnet")
    layers = [c for c in nnet.components if isinstance(c, (AffineTransform, LstmProjected))]
    sizes = "-".join(str(size) for size in (nnet.input_dim, *(layer.output_dim for layer in layers)))
    recurrent = any(isinstance(layer, LstmProjected) for layer in layers)
    try:
        return Experiment(directory.name, sizes, recurrent, json.loads(score.read_text(encoding="utf-8")))
    except ValueError as error:
        raise FormatError(f"{score}: not JSON ({error}): score again") from error


def table2(experiments: Sequence[Experiment]) -> str:
    """Baseline models and LSTM models: frame accuracy, and segment accuracy by majority vote."""
    dnns = [e for e in experiments if not e.recurrent]
    lstms = [e for e in experiments if e.recurrent]
    rows = [(f"baseline-DNN{k}({e.layers})", e) for k, e in enumerate(dnns, 1)] + [
        (f"LSTM({e.layers})", e) for e in lstms
    ]
    return _table(
        "Table 2. Baseline models and LSTM RNN models on the initial frame feature",
        ("model(layers)", "Frame acc", "Seg acc"),
        [(name, e.frame_accuracy, e.track_accuracy(MAJORITY_VOTE)) for name, e in rows],
    )


def table4(experiments: Sequence[Experiment]) -> str:
    """Segment features: majority vote, SVM on the LSTM segment feature, SVM on the fused one."""
    return _table(
        "Table 4. Segment features",
        ("model(LSTM layer)", "Seg acc", "LSeg acc", "FSeg acc"),
        [
            (f"LSTM({e.layers})", *(e.track_accuracy(system) for system in (MAJORITY_VOTE, LSEG, FSEG)))
            for e in experiments
            if e.recurrent
        ],
    )


def _table(title: str, head: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    width = max(len(row[0]) for row in [head, *rows])
    lines = [title, "", f"{head[0]:<{width}}" + "".join(f"  {column:>9}" for column in head[1:])]
    for name, *accuracies in rows:
        lines.append(f"{name:<{width}}" + "".join(f"  {'-' if a is None else f'{a:.2%}':>9}" for a in accuracies))
    return "\n".join(lines)
