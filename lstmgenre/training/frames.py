"""An epoch over shuffled frames, for feed-forward nets: the algorithm of nnet-train-frmshuff."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lstmgenre.errors import DataError
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.training import ranks
from lstmgenre.training.examples import Example, read_ahead, transformed
from lstmgenre.training.objective import Xent
from lstmgenre.training.sgd import Sgd, SgdOptions

Minibatch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class FrameOptions(SgdOptions):
    """Defaults: Kaldi's NnetDataRandomizerOptions. The seed is the same in every epoch, as Kaldi's recipe has it."""

    minibatch_size: int = 256
    randomize: bool = True
    randomizer_size: int = 32768
    randomizer_seed: int = 777


def train_epoch(
    nnet: Nnet, examples: Iterable[Example], options: FrameOptions, feature_transform: Nnet | None = None
) -> Xent:
    """Train `nnet` in place, once over the examples; return the loss, each minibatch's taken before its update.

    Frames of weight 0 are left out; at the end, fewer frames than a minibatch are not used (nor in cross_validate).
    Raises DataError where that leaves nothing, ModelError when the loss is not finite.
    """
    loss, sgd = Xent(), Sgd(nnet, options)
    for features, targets, weights in _minibatches(examples, options, feature_transform, options.randomize):
        logits, _ = nnet.logits(features.to(_device(nnet)))
        logits.backward(_evaluate(loss, logits, targets, weights))
        sgd.step(options.minibatch_size)
    return loss.of_all_ranks()


@torch.no_grad()
def cross_validate(
    nnet: Nnet, examples: Iterable[Example], options: FrameOptions, feature_transform: Nnet | None = None
) -> Xent:
    """The loss of `nnet` on the examples, in minibatches as train_epoch makes them, unshuffled."""
    loss = Xent()
    for features, targets, weights in _minibatches(examples, options, feature_transform, randomize=False):
        logits, _ = nnet.logits(features.to(_device(nnet)))
        _evaluate(loss, logits, targets, weights)
    return loss.of_all_ranks()


def _evaluate(loss: Xent, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    return loss.evaluate(torch.softmax(logits.detach(), -1), targets.to(logits.device), weights.to(logits.device))


def _device(nnet: Nnet) -> torch.device:
    return next(nnet.parameters()).device


def _minibatches(
    examples: Iterable[Example], options: FrameOptions, feature_transform: Nnet | None, randomize: bool
) -> Iterator[Minibatch]:
    """Features, targets and weights of minibatch_size frames; a buffer of them ahead, so that reading goes on."""
    batches = _shuffled(examples, options, feature_transform, randomize)
    return read_ahead(batches, depth=1 + options.randomizer_size // options.minibatch_size)


def _shuffled(
    examples: Iterable[Example], options: FrameOptions, feature_transform: Nnet | None, randomize: bool
) -> Iterator[Minibatch]:
    """Whole utterances fill a buffer until it has more than randomizer_size frames; it is shuffled and handed out; the
    rest, less than a minibatch, opens the next buffer.
    """
    shuffle = _permutations(options.randomizer_seed) if randomize else torch.arange
    parts: list[Minibatch] = []
    buffered = total = 0
    for example in examples:
        _, *columns = transformed(example, feature_transform)
        features, targets, weights = (column[example.weights > 0] for column in columns)
        parts.append((features, targets, weights))
        buffered += len(weights)
        total += len(weights)
        if buffered > options.randomizer_size:
            parts = [(yield from _hand_out(parts, shuffle(buffered), options.minibatch_size))]
            buffered = len(parts[0][0])
    if total < options.minibatch_size:
        raise DataError(f"{total} frames of weight over 0 are fewer than a minibatch of {options.minibatch_size}")
    yield from _hand_out(parts, shuffle(buffered), options.minibatch_size)


def _hand_out(parts: list[Minibatch], order: Tensor, size: int) -> Generator[Minibatch, None, Minibatch]:
    """Minibatches of the frames in this order, of each this rank's share; returns what remains."""
    features, targets, weights = (torch.cat(columns) for columns in zip(*parts, strict=True))
    whole = len(order) // size * size
    own = torch.tensor(ranks.share(size))
    for start in range(0, whole, size):
        chosen = order[start + own]
        yield features[chosen], targets[chosen], weights[chosen]
    rest = order[whole:]
    return features[rest], targets[rest], weights[rest]


def _permutations(seed: int) -> Callable[[int], Tensor]:
    generator = np.random.default_rng(seed)
    return lambda count: torch.from_numpy(generator.permutation(count))
