"""nnet1's components: torch modules under Kaldi's names, with its equations and its parameters' names.

Everything is time-major: x is (frames, streams, dim), where a stream is an utterance or a part of one. A component
that sees one frame at a time takes any shape (..., dim).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from lstmgenre.nnet1.lstm import Clips, Weights, lstm_projected
from lstmgenre.nnet1.matmul import affine

LstmState = tuple[Tensor, Tensor]
"""Cell c (streams, cells) and recurrent output r (streams, output) after a frame."""


@dataclass(frozen=True)
class UpdateRule:
    """How the trainers move one parameter: W -= learn_rate * learn_rate_coef * correction, see training.sgd."""

    parameter: Parameter
    learn_rate_coef: float = 1.0
    clip: float = 0.0
    """Bound on each element of the correction (momentum included); 0 is off."""
    penalised: bool = False
    """L1 and L2 apply."""
    max_norm: float = 0.0
    """Bound on the Euclidean norm of each row; 0 is off."""


class Component(torch.nn.Module):
    """One layer of a Nnet."""

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.output_dim = output_dim

    def update_rules(self) -> list[UpdateRule]:
        """What training changes; nothing, unless a component says otherwise."""
        return []


class Sigmoid(Component):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


class Tanh(Component):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class Softmax(Component):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, dim=-1)


class AffineTransform(Component):
    """y = W x + b, W = linearity (output, input)."""

    def __init__(
        self,
        linearity: Tensor,
        bias: Tensor,
        learn_rate_coef: float = 1.0,
        bias_learn_rate_coef: float = 1.0,
        max_norm: float = 0.0,
    ) -> None:
        output_dim, input_dim = linearity.shape
        super().__init__(input_dim, output_dim)
        self.linearity = Parameter(linearity)
        self.bias = Parameter(bias)
        self.learn_rate_coef = learn_rate_coef
        self.bias_learn_rate_coef = bias_learn_rate_coef
        self.max_norm = max_norm

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.linearity, self.bias)

    def update_rules(self) -> list[UpdateRule]:
        return [
            UpdateRule(self.linearity, self.learn_rate_coef, penalised=True, max_norm=self.max_norm),
            UpdateRule(self.bias, self.bias_learn_rate_coef),
        ]


class LstmProjected(Component):
    """LSTM with peepholes and a recurrent projection, the layer's output (lstm.py has the equations).

    Kaldi's LstmProjectedStreams of 2016 and its LstmProjected of today: the same forward pass, other clips. w_gifo_x is
    (4 cells, input), w_gifo_r (4 cells, output), bias (4 cells,), the peepholes (cells,), w_r_m (output, cells).
    grad_clip bounds each element of an update, momentum included (2016 calls it ClipGradient).
    """

    def __init__(
        self,
        w_gifo_x: Tensor,
        w_gifo_r: Tensor,
        bias: Tensor,
        peephole_i_c: Tensor,
        peephole_f_c: Tensor,
        peephole_o_c: Tensor,
        w_r_m: Tensor,
        grad_clip: float = 0.0,
        learn_rate_coef: float = 1.0,
        bias_learn_rate_coef: float = 1.0,
        cell_clip: float = 50.0,
        diff_clip: float = 0.0,
        cell_diff_clip: float = 0.0,
    ) -> None:
        output_dim, self.cell_dim = w_r_m.shape
        super().__init__(w_gifo_x.shape[1], output_dim)
        self.w_gifo_x = Parameter(w_gifo_x)
        self.w_gifo_r = Parameter(w_gifo_r)
        self.bias = Parameter(bias)
        self.peephole_i_c = Parameter(peephole_i_c)
        self.peephole_f_c = Parameter(peephole_f_c)
        self.peephole_o_c = Parameter(peephole_o_c)
        self.w_r_m = Parameter(w_r_m)
        self.grad_clip = grad_clip
        self.learn_rate_coef = learn_rate_coef
        self.bias_learn_rate_coef = bias_learn_rate_coef
        self.cell_clip = cell_clip
        self.diff_clip = diff_clip
        self.cell_diff_clip = cell_diff_clip

    def forward(self, x: Tensor, state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """x (frames, streams, input), the state after the frame before (None: zeros) -> r of each frame, the state
        after the last.
        """
        cell, recurrent = state or (
            x.new_zeros(x.shape[1], self.cell_dim),
            x.new_zeros(x.shape[1], self.output_dim),
        )
        weights = Weights._make(getattr(self, name) for name in Weights._fields)
        clips = Clips(self.cell_clip, self.diff_clip, self.cell_diff_clip)
        y, cell, recurrent = lstm_projected(x, cell, recurrent, weights, clips)
        return y, (cell, recurrent)

    def update_rules(self) -> list[UpdateRule]:
        matrices = [self.w_gifo_x, self.w_gifo_r, self.w_r_m]
        vectors = [self.bias, self.peephole_i_c, self.peephole_f_c, self.peephole_o_c]
        return [
            *(UpdateRule(matrix, self.learn_rate_coef, self.grad_clip) for matrix in matrices),
            *(UpdateRule(vector, self.bias_learn_rate_coef, self.grad_clip) for vector in vectors),
        ]


class AddShift(Component):
    """y = x + shift_data. A part of a feature transform: fixed here, where Kaldi would train it if learn_rate_coef
    were not 0.
    """

    shift_data: Tensor

    def __init__(self, shift_data: Tensor, learn_rate_coef: float = 0.0) -> None:
        super().__init__(len(shift_data), len(shift_data))
        self.register_buffer("shift_data", shift_data)
        self.learn_rate_coef = learn_rate_coef

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift_data


class Rescale(Component):
    """y = x * scale_data. A part of a feature transform: fixed here, as AddShift is."""

    scale_data: Tensor

    def __init__(self, scale_data: Tensor, learn_rate_coef: float = 0.0) -> None:
        super().__init__(len(scale_data), len(scale_data))
        self.register_buffer("scale_data", scale_data)
        self.learn_rate_coef = learn_rate_coef

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale_data


class Splice(Component):
    """Each frame becomes the frames at frame_offsets from it, one after the other; beyond an end, the frame at that
    end.

    x is whole utterances, (frames, input) or (frames, streams, input); of streams that end early, repeat the last
    frame.
    """

    def __init__(self, input_dim: int, frame_offsets: Sequence[int]) -> None:
        super().__init__(input_dim, input_dim * len(frame_offsets))
        self.frame_offsets = list(frame_offsets)

    def forward(self, x: Tensor) -> Tensor:
        frames = torch.arange(len(x), device=x.device)
        return torch.cat([x[(frames + k).clamp(0, len(x) - 1)] for k in self.frame_offsets], dim=-1)
