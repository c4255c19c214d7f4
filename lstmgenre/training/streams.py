"""An epoch over parallel streams, for recurrent nets: truncated back-propagation through time.

The algorithm of nnet-train-lstm-streams of 2016.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from lstmgenre.errors import DataError
from lstmgenre.nnet1.nnet import Nnet, NnetState
from lstmgenre.training import ranks
from lstmgenre.training.examples import Example, read_ahead, transformed
from lstmgenre.training.objective import Xent
from lstmgenre.training.sgd import Sgd, SgdOptions


@dataclass(frozen=True, kw_only=True)
class StreamOptions(SgdOptions):
    """Defaults: nnet-train-lstm-streams of 2016."""

    num_streams: int = 4
    batch_size: int = 20
    """Frames of a chunk: how far back gradients go."""
    targets_delay: int = 5
    """The label of frame t goes with the input of frame t + delay (the last frame, near the end)."""
    keep_tails: bool = True
    """False ends the epoch when the first stream runs dry, and so loses the others' rest: nnet-train-multistream of
    head.
    """


class Chunk(NamedTuple):
    """batch_size frames of every stream of this rank: features (frames, streams, dim), targets (frames, streams,
    classes), weights (frames, streams).

    `previous` (streams,) says which stream of the chunk before each continues; -1 starts an utterance.
    """

    features: Tensor
    targets: Tensor
    weights: Tensor
    previous: Tensor


def train_epoch(
    nnet: Nnet, examples: Iterable[Example], options: StreamOptions, feature_transform: Nnet | None = None
) -> Xent:
    """Train `nnet` in place, once over the examples; return the loss, each chunk's taken before its update.

    Every frame is used, also where there are fewer utterances than streams, or when streams run dry one after the
    other. Raises DataError for an empty set, ModelError when the loss is not finite.
    """
    return _epoch(nnet, examples, options, feature_transform, Sgd(nnet, options))


@torch.no_grad()
def cross_validate(
    nnet: Nnet, examples: Iterable[Example], options: StreamOptions, feature_transform: Nnet | None = None
) -> Xent:
    """The loss of `nnet` on the examples, with the chunks and the delay of train_epoch."""
    return _epoch(nnet, examples, options, feature_transform, sgd=None)


def _epoch(
    nnet: Nnet, examples: Iterable[Example], options: StreamOptions, feature_transform: Nnet | None, sgd: Sgd | None
) -> Xent:
    device = next(nnet.parameters()).device
    loss = Xent()
    state: NnetState = []
    source = (transformed(example, feature_transform) for example in examples)
    for chunk in read_ahead(chunks(source, options), depth=2):
        features, targets, weights, previous = (part.to(device) for part in chunk)
        state = [(_carry(cell, previous), _carry(recurrent, previous)) for cell, recurrent in state]
        logits, state = nnet.logits(features, state)
        diff = loss.evaluate(torch.softmax(logits.detach(), -1), targets, weights)
        if sgd:
            logits.backward(diff)
            # Kaldi scales penalties by all rows, those of streams that have run dry too.
            sgd.step(options.batch_size * options.num_streams)
    return loss.of_all_ranks()


def _carry(state: Tensor, previous: Tensor) -> Tensor:
    return state.detach()[previous] * (previous >= 0).unsqueeze(1)


def chunks(examples: Iterable[Example], options: StreamOptions) -> Iterator[Chunk]:
    """Cut the examples into chunks: each stream runs through one utterance after the other.

    A stream takes its next utterance at a chunk's edge only; behind the end of an utterance its last frame is
    repeated with weight 0. When the examples are used up, streams that have run dry leave, all but the last one of a
    rank (Kaldi keeps them, with weight 0, which is the same).
    """
    source = iter(examples)
    streams = [(example, 0) for example in islice(source, options.num_streams)]
    if not streams:
        raise DataError("no utterances to train on or to cross-validate with")
    own = ranks.share(len(streams))
    rows: list[int] = []
    while running := [k for k, (example, start) in enumerate(streams) if start < len(example.weights)]:
        if len(running) < len(streams) and not options.keep_tails:
            return
        before, rows = rows, [k for k in running if k in own] or rows[-1:]
        previous = [before.index(k) if streams[k][1] else -1 for k in rows]
        yield _cut([streams[k] for k in rows], previous, options)
        for k, (example, start) in enumerate(streams):
            start += options.batch_size
            fresh = None if start < len(example.weights) else next(source, None)
            streams[k] = (example, start) if fresh is None else (fresh, 0)


def _cut(streams: list[tuple[Example, int]], previous: list[int], options: StreamOptions) -> Chunk:
    first = streams[0][0]
    shape = (options.batch_size, len(streams))
    features = first.features.new_empty(*shape, first.features.shape[1])
    targets = first.targets.new_empty(*shape, first.targets.shape[1])
    weights = first.weights.new_empty(shape)
    for row, (example, start) in enumerate(streams):
        frames = torch.arange(start, start + options.batch_size)
        last = len(example.weights) - 1
        inside = frames.clamp(max=last)
        features[:, row] = example.features[(frames + options.targets_delay).clamp(max=last)]
        targets[:, row] = example.targets[inside]
        weights[:, row] = example.weights[inside] * (frames <= last)
    return Chunk(features, targets, weights, torch.tensor(previous))
