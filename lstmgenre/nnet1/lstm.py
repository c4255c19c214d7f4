"""The passes of the LSTM with peepholes and projection, over all frames and streams of a chunk.

For frame t of every stream, with the gate blocks in Kaldi's order g, i, f, o (the paper's equations 3-9, where m in
5-8 is the projected r, and the peepholes are diagonal)::

    z = W_x x_t + W_r r_{t-1} + b
    g = tanh(z_g)    i = sigmoid(z_i + p_i c_{t-1})    f = sigmoid(z_f + p_f c_{t-1})
    c = clip(g i + f c_{t-1})    o = sigmoid(z_o + p_o c)    m = o tanh(c)    r = W_m m

What does not depend on the previous frame is done for the whole chunk at once: the input's matrix product, and in the
backward pass the derivatives of the squashing functions and all gradients of the weights. A step is left with the
recurrent products and a few element-wise operations on (streams, cells).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmgenre.nnet1.matmul import linear, pack

_sigmoid_backward = torch.ops.aten.sigmoid_backward


class Weights(NamedTuple):
    """Of a layer, the gate blocks one below the other."""

    w_gifo_x: Tensor
    """(4 cells, input)"""
    w_gifo_r: Tensor
    """(4 cells, output)"""
    bias: Tensor
    """(4 cells,)"""
    peephole_i_c: Tensor
    """(cells,), as the other two"""
    peephole_f_c: Tensor
    peephole_o_c: Tensor
    w_r_m: Tensor
    """(output, cells)"""


class Clips(NamedTuple):
    """Bounds on the cell and on its derivatives; 0 is off. 2016 has the first alone, at 50; head has all three."""

    cell: float = 50.0
    diff: float = 0.0
    cell_diff: float = 0.0


def lstm_projected(
    x: Tensor,
    cell: Tensor,
    recurrent: Tensor,
    weights: Weights,
    clips: Clips,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a chunk: x (frames, streams, input), cell c (streams, cells) and recurrent r (streams, output) before its
    first frame.

    Returns r of every frame (frames, streams, output), then c and r after the last one.
    """
    return _LstmProjected.apply(x, cell, recurrent, clips, *weights)


class _LstmProjected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        cell: Tensor,
        recurrent: Tensor,
        clips: Clips,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        w = Weights(*weights)
        frames, streams, _ = x.shape
        output_dim, cells = w.w_r_m.shape
        gates = linear(x.reshape(frames * streams, -1), w.w_gifo_x, w.bias).view(frames, streams, 4, cells)
        c = torch.cat([cell[None], x.new_empty(frames, streams, cells)])
        r = torch.cat([recurrent[None], x.new_empty(frames, streams, output_dim)])
        tanh_c = x.new_empty(frames, streams, cells)
        m = x.new_empty(frames, streams, cells)
        peephole_if = torch.stack([w.peephole_i_c, w.peephole_f_c])
        w_gifo_r_packed, w_r_m_packed = pack(w.w_gifo_r, streams), pack(w.w_r_m, streams)
        steps = zip(
            gates.view(frames, streams, -1),
            gates[:, :, 1:3],
            *gates.unbind(2),
            c[:-1],
            c[1:],
            r[:-1],
            r[1:],
            tanh_c,
            m,
            strict=True,
        )
        for z, z_if, g, i, f, o, c_before, c_now, r_before, r_now, tanh_c_now, m_now in steps:
            z.add_(linear(r_before, w_gifo_r_packed))
            g.tanh_()
            z_if.addcmul_(c_before.unsqueeze(1), peephole_if).sigmoid_()
            torch.mul(f, c_before, out=c_now).addcmul_(g, i)
            if clips.cell > 0:
                c_now.clamp_(-clips.cell, clips.cell)
            o.addcmul_(c_now, w.peephole_o_c).sigmoid_()
            torch.tanh(c_now, out=tanh_c_now)
            torch.mul(o, tanh_c_now, out=m_now)
            r_now.copy_(linear(m_now, w_r_m_packed))
        ctx.save_for_backward(x, gates, c, r, tanh_c, m, *weights)
        ctx.clips = clips
        ctx.set_materialize_grads(False)
        return r[1:], c[-1].clone(), r[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, d_cell: Tensor | None, d_recurrent: Tensor | None) -> tuple:
        x, gates, c, r, tanh_c, m, *weights = ctx.saved_tensors
        w = Weights(*weights)
        clips: Clips = ctx.clips
        frames, streams = gates.shape[:2]
        d_z = torch.empty_like(gates)
        d_r = torch.zeros_like(r[1:]) if d_out is None else d_out.clone(memory_format=torch.contiguous_format)
        if d_recurrent is not None:
            d_r[-1] += d_recurrent
        # What reaches the cell of frame t from frame t + 1. Kaldi lets the derivative pass the cell's own clip.
        d_c_next = torch.zeros_like(c[0]) if d_cell is None else d_cell.clone()
        w_gifo_r_packed, w_r_m_packed = pack(w.w_gifo_r.t(), streams), pack(w.w_r_m.t(), streams)
        d_r_next = torch.zeros_like(d_r[0])
        steps = zip(d_z.view(frames, streams, -1), *d_z.unbind(2), *gates.unbind(2), c[:-1], tanh_c, d_r, strict=True)
        for d_z_now, d_z_g, d_z_i, d_z_f, d_z_o, g, i, f, o, c_before, tanh_c_now, d_r_now in reversed(list(steps)):
            d_m = linear(d_r_now.add_(d_r_next), w_r_m_packed)
            _sigmoid_backward(d_m * tanh_c_now, o, grad_input=d_z_o)
            d_c = d_c_next.add_(_tanh_backward(d_m.mul_(o), tanh_c_now)).addcmul_(d_z_o, w.peephole_o_c)
            if clips.cell_diff > 0:
                d_c.clamp_(-clips.cell_diff, clips.cell_diff)
            _tanh_backward(d_c * i, g, out=d_z_g)
            _sigmoid_backward(d_c * g, i, grad_input=d_z_i)
            _sigmoid_backward(d_c * c_before, f, grad_input=d_z_f)
            if clips.diff > 0:
                d_z_now.clamp_(-clips.diff, clips.diff)
            d_c_next = d_c.mul_(f).addcmul_(d_z_i, w.peephole_i_c).addcmul_(d_z_f, w.peephole_f_c)
            d_r_next = linear(d_z_now, w_gifo_r_packed)

        d_z_rows = d_z.view(frames * streams, -1)
        d_z_columns = d_z_rows.t().contiguous()
        d_x = linear(d_z_rows, w.w_gifo_x.t()).view_as(x) if ctx.needs_input_grad[0] else None
        d_weights = Weights(
            w_gifo_x=linear(d_z_columns, x.reshape(frames * streams, -1).t()),
            w_gifo_r=linear(d_z_columns, r[:-1].reshape(frames * streams, -1).t()),
            bias=d_z_rows.sum(0),
            peephole_i_c=(d_z[:, :, 1] * c[:-1]).sum((0, 1)),
            peephole_f_c=(d_z[:, :, 2] * c[:-1]).sum((0, 1)),
            peephole_o_c=(d_z[:, :, 3] * c[1:]).sum((0, 1)),
            w_r_m=linear(d_r.view(frames * streams, -1).t(), m.view(frames * streams, -1).t()),
        )
        return d_x, d_c_next, d_r_next, None, *d_weights


def _tanh_backward(d_y: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
    # torch's own, aten::tanh_backward, is not vectorised: several times slower.
    return torch.addcmul(d_y, d_y * y, y, value=-1, out=out)
