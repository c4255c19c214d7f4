"""New networks with Kaldi's random distributions, and the feature transform that they start from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

import numpy as np
import torch

from lstmgenre.errors import DataError
from lstmgenre.nnet1.components import (
    AddShift,
    AffineTransform,
    Component,
    LstmProjected,
    Rescale,
    Sigmoid,
    Softmax,
)
from lstmgenre.nnet1.nnet import Nnet

logger = logging.getLogger(__name__)

TRANSFORM_UTTERANCES = 10_000
"""Kaldi's train.sh takes the statistics of the features from at most so many utterances."""

_VARIANCE_FLOOR = 1e-10  # cmvn-to-nnet


def dnn(input_dim: int, hidden: Sequence[int], output_dim: int, seed: int) -> Nnet:
    """A sigmoid network as Kaldi's make_nnet_proto.py sets it up: hidden biases in -4..0, a slow output bias that
    starts at 0.
    """
    rng = np.random.default_rng(seed)
    dims = [input_dim, *hidden, output_dim]
    components: list[Component] = []
    for layer, (inputs, outputs) in enumerate(pairwise(dims)):
        # make_nnet_proto.py: Glorot's range, widened for sigmoids; the first layer's times the deviation of U(0, 1).
        stddev = 3.5 * (2 / (inputs + outputs)) ** 0.5 * ((1 / 12) ** 0.5 if layer == 0 else 1)
        weights = stddev * rng.standard_normal((outputs, inputs))
        if layer < len(hidden):
            bias = rng.uniform(-4, 0, outputs)
            components += [AffineTransform(_tensor(weights), _tensor(bias)), Sigmoid(outputs, outputs)]
        else:
            components += [
                AffineTransform(_tensor(weights), torch.zeros(outputs), bias_learn_rate_coef=0.1),
                Softmax(outputs, outputs),
            ]
    return Nnet(components)


def lstm(
    input_dim: int,
    projections: Sequence[int],
    cells: Sequence[int],
    output_dim: int,
    seed: int,
    param_scale: float = 0.01,
    clip_gradient: float = 5.0,
) -> Nnet:
    """LSTM layers, of so many outputs and cells each, and an affine output layer, as make_lstm_proto.py of 2016 sets
    them up.

    All of the LSTM, biases too, is uniform in +-param_scale; the output layer's weights are N(0, .04), its bias 0.
    """
    rng = np.random.default_rng(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return _tensor(rng.uniform(-param_scale, param_scale, shape))

    components: list[Component] = []
    inputs = input_dim
    for outputs, cell_dim in zip(projections, cells, strict=True):
        components.append(
            LstmProjected(  # in the order in which Kaldi draws them
                w_gifo_x=uniform(4 * cell_dim, inputs),
                w_gifo_r=uniform(4 * cell_dim, outputs),
                w_r_m=uniform(outputs, cell_dim),
                bias=uniform(4 * cell_dim),
                peephole_i_c=uniform(cell_dim),
                peephole_f_c=uniform(cell_dim),
                peephole_o_c=uniform(cell_dim),
                grad_clip=clip_gradient,
            )
        )
        inputs = outputs
    weights = 0.04 * rng.standard_normal((output_dim, inputs))
    components += [AffineTransform(_tensor(weights), torch.zeros(output_dim)), Softmax(output_dim, output_dim)]
    return Nnet(components)


def feature_transform(utterances: Iterable[np.ndarray]) -> Nnet:
    """Shift and scale to mean 0 and (population) variance 1 of each dimension, over at most TRANSFORM_UTTERANCES
    (frames, dim) arrays.

    A dimension that does not vary is shifted and not scaled. Raises DataError where there are no frames.
    """
    frames, total, squares = 0, np.zeros(1), np.zeros(1)
    for utterance in islice(utterances, TRANSFORM_UTTERANCES):
        values = np.asarray(utterance, dtype=np.float64)
        frames += len(values)
        total = total + values.sum(0)
        squares = squares + (values**2).sum(0)
    if not frames:
        raise DataError("no frames to take the features' mean and variance from")
    mean = total / frames
    variance = squares / frames - mean**2
    constant = variance < _VARIANCE_FLOOR
    if constant.any():
        logger.warning("%d of %d feature dimensions do not vary: they are not scaled", constant.sum(), len(mean))
    scale = np.where(constant, 1.0, 1 / np.sqrt(np.where(constant, 1.0, variance)))
    return Nnet([AddShift(_tensor(-mean)), Rescale(_tensor(scale))])


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
