"""Which scalars and arrays a component has in an nnet1 file, and in what order: as of 2016-02 ("2016") and of today
("head")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lstmgenre.nnet1.components import (
    AddShift,
    AffineTransform,
    Component,
    LstmProjected,
    Rescale,
    Sigmoid,
    Softmax,
    Splice,
    Tanh,
)

Format = Literal["2016", "head"]

# What 2016's LSTM does without writing it down, in the terms of head's tags.
_LSTM_2016 = {
    "cell_clip": 50.0,
    "diff_clip": 0.0,
    "cell_diff_clip": 0.0,
    "learn_rate_coef": 1.0,
    "bias_learn_rate_coef": 1.0,
}


@dataclass(frozen=True)
class Layout:
    """How one format stores one type of component."""

    tag: str
    component: type[Component]
    scalars: Mapping[str, str] = field(default_factory=dict)
    """Tag -> attribute, in the order in which Kaldi writes them."""
    arrays: Mapping[str, Callable[[int, int, int], tuple[int, ...]]] = field(default_factory=dict)
    """Attribute -> its shape, from the output, input and cell dimensions."""
    implied: Mapping[str, float] = field(default_factory=dict)
    """Attributes that this format has no tag for, and the value that its reader takes them to have."""
    scalars_end_line: bool = False
    """In text, the arrays start on a line of their own."""


_COMMON = [
    Layout("<Sigmoid>", Sigmoid),
    Layout("<Tanh>", Tanh),
    Layout("<Softmax>", Softmax),
    Layout("<Splice>", Splice),
    Layout("<AddShift>", AddShift, {"<LearnRateCoef>": "learn_rate_coef"}, {"shift_data": lambda o, i, c: (o,)}),
    Layout("<Rescale>", Rescale, {"<LearnRateCoef>": "learn_rate_coef"}, {"scale_data": lambda o, i, c: (o,)}),
]
_AFFINE_SCALARS = {
    "<LearnRateCoef>": "learn_rate_coef",
    "<BiasLearnRateCoef>": "bias_learn_rate_coef",
    "<MaxNorm>": "max_norm",
}
_AFFINE_ARRAYS: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "linearity": lambda o, i, c: (o, i),
    "bias": lambda o, i, c: (o,),
}
_LSTM_ARRAYS: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "w_gifo_x": lambda o, i, c: (4 * c, i),
    "w_gifo_r": lambda o, i, c: (4 * c, o),
    "bias": lambda o, i, c: (4 * c,),
    "peephole_i_c": lambda o, i, c: (c,),
    "peephole_f_c": lambda o, i, c: (c,),
    "peephole_o_c": lambda o, i, c: (c,),
    "w_r_m": lambda o, i, c: (o, c),
}
LAYOUTS: dict[Format, list[Layout]] = {
    "2016": [
        *_COMMON,
        Layout("<AffineTransform>", AffineTransform, _AFFINE_SCALARS, _AFFINE_ARRAYS),
        Layout(
            "<LstmProjectedStreams>",
            LstmProjected,
            {"<CellDim>": "cell_dim", "<ClipGradient>": "grad_clip"},
            _LSTM_ARRAYS,
            implied=_LSTM_2016,
        ),
    ],
    "head": [
        *_COMMON,
        Layout("<AffineTransform>", AffineTransform, _AFFINE_SCALARS, _AFFINE_ARRAYS, scalars_end_line=True),
        Layout(
            "<LstmProjected>",
            LstmProjected,
            {
                "<CellDim>": "cell_dim",
                "<LearnRateCoef>": "learn_rate_coef",
                "<BiasLearnRateCoef>": "bias_learn_rate_coef",
                "<CellClip>": "cell_clip",
                "<DiffClip>": "diff_clip",
                "<CellDiffClip>": "cell_diff_clip",
                "<GradClip>": "grad_clip",
            },
            _LSTM_ARRAYS,
            scalars_end_line=True,
        ),
    ],
}
BY_TAG = {layout.tag: layout for layouts in LAYOUTS.values() for layout in layouts}
NOT_NEGATIVE = {"max_norm", "grad_clip", "cell_clip", "diff_clip", "cell_diff_clip"}
"""Bounds, where Kaldi takes 0 for none."""
