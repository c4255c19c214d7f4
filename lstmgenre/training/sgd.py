"""Kaldi's stochastic gradient descent: gradients summed over the frames of a minibatch, never averaged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lstmgenre.errors import ModelError
from lstmgenre.nnet1.components import AddShift, Rescale, Softmax
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.training import ranks


@dataclass(frozen=True, kw_only=True)
class SgdOptions:
    """Defaults: Kaldi's NnetTrainOptions of 2016."""

    learn_rate: float = 0.008
    momentum: float = 0.0
    l1_penalty: float = 0.0
    l2_penalty: float = 0.0


class Sgd:
    """The momentum buffers of a net, zero at first: Kaldi's tools run one epoch each, so every epoch makes a new one.

    Raises ModelError for a net that does not end in Softmax, and for trainable AddShift and Rescale components.
    """

    def __init__(self, nnet: Nnet, options: SgdOptions) -> None:
        components = list(nnet)
        if not isinstance(components[-1], Softmax):
            raise ModelError("cross-entropy training needs a net that ends in <Softmax>")
        for component in components:
            if isinstance(component, AddShift | Rescale) and component.learn_rate_coef:
                raise ModelError(f"training of {type(component).__name__} is not supported: set its LearnRateCoef to 0")
        self.options = options
        self.rules = [rule for component in components for rule in component.update_rules()]
        self.corrections = [torch.zeros_like(rule.parameter) for rule in self.rules]

    @torch.no_grad()
    def step(self, rows: int) -> None:
        """Apply and clear the gradients that the parameters hold, of a minibatch of `rows` frames over all ranks.

        correction = gradient + momentum * correction; then the penalties, scaled by the rows; then W -= rate *
        correction.
        """
        options = self.options
        ranks.sum_(rule.parameter.grad for rule in self.rules if rule.parameter.grad is not None)
        for rule, correction in zip(self.rules, self.corrections, strict=True):
            parameter, gradient = rule.parameter, rule.parameter.grad
            assert gradient is not None
            torch.add(gradient, correction, alpha=options.momentum, out=correction)
            parameter.grad = None
            if rule.clip > 0:
                correction.clamp_(-rule.clip, rule.clip)
            rate = options.learn_rate * rule.learn_rate_coef
            if rule.penalised and options.l2_penalty:
                parameter.mul_(1 - rate * options.l2_penalty * rows)
            if rule.penalised and options.l1_penalty:
                _shrink(parameter, correction, rate * options.l1_penalty * rows, rate)
            parameter.add_(correction, alpha=-rate)
            if rule.max_norm > 0:
                norms = torch.linalg.vector_norm(parameter, dim=1, keepdim=True)
                parameter.div_((norms / rule.max_norm).clamp_(min=1.0))


def _shrink(parameter: Tensor, correction: Tensor, amount: float, rate: float) -> None:
    """L1: move each weight towards zero; one that this or the update would carry across zero stays at zero, without
    momentum.
    """
    shrunk = parameter - amount * parameter.sign()
    crossing = ((shrunk - rate * correction > 0) != (parameter > 0)) & (parameter != 0)
    parameter.copy_(shrunk.masked_fill_(crossing, 0))
    correction.masked_fill_(crossing, 0)
