"""How a network was trained: EXP_DIR/training.json, its settings and every epoch's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lstmgenre.expdir.layout import ExpDir
from lstmgenre.files import read_json, write_json

_LONGEST_DELAY = 1000  # frames, three minutes of the paper's: what a song is padded with must stay small
_TRAIN = "train the network with lstmgenre train-lstm or train-dnn"


@dataclass(frozen=True)
class Epoch:
    """The numbers of an epoch. Losses have 6 digits as in the logs: decisions rest on them. Iteration 0 is the
    initial net, cross-validated.
    """

    iteration: int
    nnet: str
    """The file, relative to EXP_DIR."""
    accepted: bool
    cv_loss: float
    cv_accuracy: float
    cv_frames: float
    learn_rate: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    train_frames: float | None = None


@dataclass(frozen=True)
class History:
    """What training was begun with, and the epochs so far: one at least, the first that of the initial net."""

    settings: dict[str, Any]
    epochs: list[Epoch]

    @classmethod
    def read(cls, experiment: Path, remedy: str = _TRAIN) -> History:
        """Raises DataError where there is none, FormatError where it is damaged; both tell `remedy`."""
        return read_json(ExpDir(experiment).training, cls._of, remedy)

    @classmethod
    def _of(cls, fields: Mapping[str, Any]) -> History:
        history = cls(dict(fields["settings"]), [Epoch(**epoch) for epoch in fields["epochs"]])
        if not any(epoch.accepted for epoch in history.epochs):
            raise ValueError("no epoch was accepted")
        if not math.isfinite(history.held_out_loss):
            raise ValueError(f"the held-out loss is {history.held_out_loss}")
        delay = history.targets_delay
        if type(delay) is not int or not 0 <= delay <= _LONGEST_DELAY:
            raise ValueError(f"targets_delay {delay!r} should be a number of frames from 0 to {_LONGEST_DELAY}")
        return history

    @property
    def held_out_loss(self) -> float:
        """Cross-validation loss of final.nnet, which is that of the last epoch that was accepted."""
        return [epoch.cv_loss for epoch in self.epochs if epoch.accepted][-1]

    @property
    def targets_delay(self) -> int:
        """Frames that the network's outputs lag behind its inputs; 0 for one on single frames."""
        return self.settings.get("targets_delay", 0)

    def write(self, experiment: Path) -> None:
        epochs = [asdict(epoch) for epoch in self.epochs]
        write_json(ExpDir(experiment).training, {"settings": self.settings, "epochs": epochs})
