"""Kaldi's cross-entropy objective (Xent) and what its tools log of it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from lstmgenre.errors import DataError, ModelError
from lstmgenre.training import ranks

_TINY = 1e-20  # Kaldi's guard against log(0)


@dataclass
class Xent:
    """Sums over the frames seen so far, each frame weighted."""

    cross_entropy: float = 0.0
    target_entropy: float = 0.0
    frames: float = 0.0
    correct: float = 0.0

    @torch.no_grad()
    def evaluate(self, posteriors: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Count a minibatch, posteriors and targets (..., classes), weights (...); return the gradient (y - t) w for
        the Softmax's input.

        A frame without a target (its row is zero) counts for nothing, as in Kaldi, which multiplies w by the row's
        sum. Raises ModelError when the loss is not finite.
        """
        weights = weights * targets.sum(-1)
        by_frame = torch.stack(
            [
                -(targets * (posteriors + _TINY).log()).sum(-1),
                -(targets * (targets + _TINY).log()).sum(-1),
                torch.ones_like(weights),
                (posteriors.argmax(-1) == targets.argmax(-1)).to(weights.dtype),
            ]
        )
        cross_entropy, target_entropy, frames, correct = (by_frame * weights).double().flatten(1).sum(1).tolist()
        self.cross_entropy += cross_entropy
        self.target_entropy += target_entropy
        self.frames += frames
        self.correct += correct
        if not abs(self.cross_entropy) < float("inf"):
            raise ModelError(f"the loss is {self.cross_entropy} after {self.frames:g} frames: lower the learning rate")
        return (posteriors - targets) * weights.unsqueeze(-1)

    def of_all_ranks(self) -> Xent:
        """The sums of all ranks' frames."""
        sums = torch.tensor(astuple(self), dtype=torch.float64)
        ranks.sum_([sums])
        return Xent(*sums.tolist())

    @property
    def loss(self) -> float:
        """AvgLoss: cross-entropy less the targets' own, per frame. Raises DataError if no frame counted."""
        if not self.frames:
            raise DataError("no frame has both a weight and a target")
        return (self.cross_entropy - self.target_entropy) / self.frames

    @property
    def accuracy(self) -> float:
        """Share of frames whose best class is the target's best, in per cent."""
        return 100 * self.correct / self.frames

    def report(self) -> str:
        """The lines that nnet-train-frmshuff and nnet-train-lstm-streams of 2016 log."""
        loss, xent, entropy = self.loss, self.cross_entropy / self.frames, self.target_entropy / self.frames
        return (
            f"AvgLoss: {loss:g} (Xent), [AvgXent {xent:g}, AvgTargetEnt {entropy:g}, frames {self.frames:g}]\n"
            f"FRAME_ACCURACY >> {self.accuracy:g}% <<\n"
        )
