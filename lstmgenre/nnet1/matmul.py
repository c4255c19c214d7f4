"""Matrix products at the speed of the machine.

On the CPU torch multiplies float32 matrices with MKL, which leaves AVX-512 alone on AMD processors, and which is slow
for a few rows (the streams of a recurrent step) on all. oneDNN, which torch carries as well, is free of both: up to
2.3 times as fast. Where torch has no such operation, for other types and on other devices, its plain product is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (rows, inputs), weight (outputs, inputs) or what pack made of it, bias (outputs,) -> x weight' + bias. Not
    differentiable.
    """
    if _has_onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def pack(weight: Tensor, rows: int) -> Tensor:
    """The weight laid out for many calls of linear with so many rows."""
    if _has_onednn(weight):
        return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
    return weight


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """linear for any leading dimensions (..., inputs), differentiable."""
    return _Affine.apply(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)


def _has_onednn(x: Tensor) -> bool:
    return _ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        d_x = linear(d_y, weight.t()) if ctx.needs_input_grad[0] else None
        return d_x, linear(d_y.t(), x.t()), d_y.sum(0)
