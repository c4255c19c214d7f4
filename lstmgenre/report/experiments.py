"""What a recipe left below EXP_ROOT: networks with their scores and learning curves, and baselines.

An experiment is a directory EXP_ROOT/NAME with SPLIT/score.json (from `lstmgenre score --out`). With a final.nnet it
is a network, without one a baseline.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lstmgenre import score_json
from lstmgenre.errors import DataError, FormatError
from lstmgenre.expdir import Epoch, ExpDir, History, scores_below
from lstmgenre.expdir.layout import SCORE
from lstmgenre.nnet1.components import AffineTransform, LstmProjected
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.scoring import MAJORITY_VOTE, Report
from lstmgenre.tables import read_table

# The names under which the recipe trains the SVMs on LSTM and fused segment features, and on cross-fitted ones, of N
# folds, and with k and C selected: lseg_cf5_sel.
LSEG, FSEG = "lseg", "fseg"
_SEGMENTS = re.compile(rf"({LSEG}|{FSEG})(_cf\d+)?(_sel)?")

_BASELINES = {
    "majority": "majority class",
    "mfcc_svm": "MFCC mean and deviation + SVM",
    "scat_svm": "mean scattering + SVM",
}


@dataclass(frozen=True)
class Experiment:
    """A network or a baseline, and its scores on a test set."""

    directory: Path
    label: str  # as the paper writes it: baseline-DNN1(525-1024-6)
    score: Report
    layers: str = ""  # as the paper writes them: 525-512-6; of a baseline none
    recurrent: bool = False

    @property
    def name(self) -> str:
        return self.directory.name

    def posteriors(self, split: str, name: str = "post") -> dict[str, np.ndarray]:
        """Posteriors (frames, C) by utterance, of EXP/SPLIT/NAME.scp. Raises DataError where they are not there."""
        return dict(read_table(f"scp:{self.directory / split / f'{name}.scp'}"))

    def learnt_from(self, system: str) -> str:
        """The name of the training posteriors that a segment classifier learnt from: post, or cross-fitted ones."""
        match = _SEGMENTS.fullmatch(system)
        return f"post{match[2] or ''}" if match else "post"

    @property
    def segment_systems(self) -> list[str]:
        """The segment classifiers of the recipe that were scored."""
        return [name for name in self.score.tracks if self.layers and _SEGMENTS.fullmatch(name)]

    def curve(self) -> list[Epoch]:
        """The epochs of training in EXP/training.json, [] where that is not there."""
        return History.read(self.directory).epochs if ExpDir(self.directory).training.exists() else []

    @property
    def has_segments(self) -> bool:
        """Whether segment classifiers were trained on its posteriors."""
        return self.recurrent or bool(self.layers and self.score.tracks.keys() - {MAJORITY_VOTE})


def read_experiments(root: Path, split: str = "test") -> list[Experiment]:
    """The experiments below `root` that were scored on `split`: DNNs, then LSTMs, then baselines, each by name.

    Raises DataError if there is none, FormatError for scores that cannot be read.
    """
    paths = scores_below(root, split)
    if not paths:
        raise DataError(f"{root}: no */{split}/{SCORE} below it: run the recipe to its scoring stage first")
    experiments = []
    for path in paths:
        directory, score = path.parent.parent, score_json.read(path)
        if not score.truth:
            raise FormatError(f"{path}: no track was scored: score again")
        nnet = ExpDir(directory).nnet
        if not nnet.exists():
            experiments.append(Experiment(directory, _BASELINES.get(directory.name, directory.name), score))
            continue
        layers, recurrent = _architecture(nnet)
        dnns = sum(bool(e.layers) and not e.recurrent for e in experiments)
        model = "LSTM" if recurrent else f"baseline-DNN{dnns + 1}"
        experiments.append(Experiment(directory, f"{model}({layers})", score, layers, recurrent))
    # Results are kept by label, and two networks may have the same layers: a second seed, another learning rate.
    shared = Counter(e.label for e in experiments)
    experiments = [replace(e, label=f"{e.label} {e.name}") if shared[e.label] > 1 else e for e in experiments]
    return sorted(experiments, key=lambda e: (not e.layers, e.recurrent))


def _architecture(path: Path) -> tuple[str, bool]:
    nnet = Nnet.read(path)
    layers = [c for c in nnet.components if isinstance(c, (AffineTransform, LstmProjected))]
    sizes = "-".join(str(size) for size in (nnet.input_dim, *(layer.output_dim for layer in layers)))
    return sizes, any(isinstance(layer, LstmProjected) for layer in layers)
