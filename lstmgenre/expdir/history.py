"""How a network was trained: EXP_DIR/training.json, its settings and every epoch's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from lstmgenre.documents import Count, Scalar, read_json, write_json
from lstmgenre.expdir.layout import ExpDir

_LONGEST_DELAY = 1000  # frames, three minutes of the paper's: what a song is padded with must stay small
_TRAIN = "train the network with lstmgenre train-lstm or train-dnn"


Percent = Annotated[float, Meta(ge=0, le=100)]
Frames = Annotated[float, Meta(ge=0)]


class Epoch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of an epoch. Losses have 6 digits as in the logs: decisions rest on them. Iteration 0 is the
    initial net, cross-validated.
    """

    iteration: Count
    nnet: Annotated[str, Meta(pattern=r"^(nnet/)?[^/\x00]+$")]
    """The file, relative to EXP_DIR."""
    accepted: bool
    cv_loss: float
    cv_accuracy: Percent
    cv_frames: Frames
    learn_rate: Annotated[float, Meta(ge=0)] | None = None
    train_loss: float | None = None
    train_accuracy: Percent | None = None
    train_frames: Frames | None = None


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What training was begun with, and the epochs so far: one at least, the first that of the initial net."""

    settings: dict[str, Scalar]
    epochs: list[Epoch]

    def __post_init__(self) -> None:
        for k, epoch in enumerate(self.epochs):
            if epoch.iteration != k:
                raise ValueError(f"epochs: iteration {epoch.iteration} where {k} should be")
        if not any(epoch.accepted for epoch in self.epochs):
            raise ValueError("epochs: none was accepted")
        delay = self.settings.get("targets_delay", 0)
        if type(delay) is not int or not 0 <= delay <= _LONGEST_DELAY:
            raise ValueError(f"targets_delay {delay!r} should be a number of frames from 0 to {_LONGEST_DELAY}")

    @classmethod
    def read(cls, experiment: Path, remedy: str = _TRAIN) -> History:
        """Raises DataError where there is none, FormatError where it is damaged; both tell `remedy`."""
        return read_json(ExpDir(experiment).training, cls, remedy)

    @property
    def held_out_loss(self) -> float:
        """Cross-validation loss of final.nnet, which is that of the last epoch that was accepted."""
        return [epoch.cv_loss for epoch in self.epochs if epoch.accepted][-1]

    @property
    def targets_delay(self) -> int:
        """Frames that the network's outputs lag behind its inputs; 0 for one on single frames."""
        return self.settings.get("targets_delay", 0)  # type: ignore[return-value]

    def write(self, experiment: Path) -> None:
        write_json(ExpDir(experiment).training, self)
