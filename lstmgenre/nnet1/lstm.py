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


class Clips(NamedTuple):
    """Bounds on the cell and on its derivatives; 0 is off. 2016 has the first alone, at 50; head has all three."""

    cell: float = 50.0
    diff: float = 0.0
    cell_diff: float = 0.0


def lstm_projected(
    x: Tensor,
    cell: Tensor,
    recurrent: Tensor,
    w_gifo_x: Tensor,
    w_gifo_r: Tensor,
    bias: Tensor,
    peephole_i_c: Tensor,
    peephole_f_c: Tensor,
    peephole_o_c: Tensor,
    w_r_m: Tensor,
    clips: Clips,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a chunk: x (frames, streams, input), cell c (streams, cells) and recurrent r (streams, output) before its
    first frame.

    Returns r of every frame (frames, streams, output), then c and r after the last one.
    """
    return _LstmProjected.apply(
        x, cell, recurrent, w_gifo_x, w_gifo_r, bias, peephole_i_c, peephole_f_c, peephole_o_c, w_r_m, clips
    )


class _LstmProjected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        cell: Tensor,
        recurrent: Tensor,
        w_gifo_x: Tensor,
        w_gifo_r: Tensor,
        bias: Tensor,
        peephole_i_c: Tensor,
        peephole_f_c: Tensor,
        peephole_o_c: Tensor,
        w_r_m: Tensor,
        clips: Clips,
    ) -> tuple[Tensor, Tensor, Tensor]:
        frames, streams, _ = x.shape
        output_dim, cells = w_r_m.shape
        gates = torch.addmm(bias, x.reshape(frames * streams, -1), w_gifo_x.t()).view(frames, streams, 4, cells)
        c = torch.cat([cell[None], x.new_empty(frames, streams, cells)])
        r = torch.cat([recurrent[None], x.new_empty(frames, streams, output_dim)])
        tanh_c = x.new_empty(frames, streams, cells)
        m = x.new_empty(frames, streams, cells)
        peephole_if = torch.stack([peephole_i_c, peephole_f_c])
        for t in range(frames):
            gates[t].view(streams, -1).addmm_(r[t], w_gifo_r.t())
            g, i, f, o = gates[t].unbind(1)
            g.tanh_()
            gates[t, :, 1:3].addcmul_(c[t].unsqueeze(1), peephole_if).sigmoid_()
            torch.mul(f, c[t], out=c[t + 1]).addcmul_(g, i)
            if clips.cell > 0:
                c[t + 1].clamp_(-clips.cell, clips.cell)
            o.addcmul_(c[t + 1], peephole_o_c).sigmoid_()
            torch.tanh(c[t + 1], out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=m[t])
            torch.mm(m[t], w_r_m.t(), out=r[t + 1])
        ctx.save_for_backward(
            x, w_gifo_x, w_gifo_r, peephole_i_c, peephole_f_c, peephole_o_c, w_r_m, gates, c, r, tanh_c, m
        )
        ctx.clips = clips
        ctx.set_materialize_grads(False)
        return r[1:], c[-1].clone(), r[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, d_cell: Tensor | None, d_recurrent: Tensor | None) -> tuple:
        x, w_gifo_x, w_gifo_r, peephole_i_c, peephole_f_c, peephole_o_c, w_r_m, gates, c, r, tanh_c, m = (
            ctx.saved_tensors
        )
        clips: Clips = ctx.clips
        frames, streams = gates.shape[:2]
        g, i, f, o = gates.unbind(2)

        # How much the cell moves with each gate's input (g, i, f), the output with its gate's (o) and with the cell.
        slope = torch.stack([i * (1 - g * g), g * i * (1 - i), c[:-1] * f * (1 - f), tanh_c * o * (1 - o)], dim=2)
        slope_c = o * (1 - tanh_c * tanh_c)

        d_z = torch.empty_like(gates)
        d_r = torch.zeros_like(r[1:]) if d_out is None else d_out.clone()
        if d_recurrent is not None:
            d_r[-1] += d_recurrent
        # What reaches the cell of frame t from frame t + 1. Kaldi lets the derivative pass the cell's own clip.
        d_c_next = torch.zeros_like(c[0]) if d_cell is None else d_cell.clone()
        d_r0 = torch.empty_like(r[0])
        for t in range(frames - 1, -1, -1):
            d_m = d_r[t] @ w_r_m
            d_z_o = torch.mul(d_m, slope[t, :, 3], out=d_z[t, :, 3])
            d_c = d_c_next.addcmul_(d_m, slope_c[t]).addcmul_(d_z_o, peephole_o_c)
            if clips.cell_diff > 0:
                d_c.clamp_(-clips.cell_diff, clips.cell_diff)
            torch.mul(d_c.unsqueeze(1), slope[t, :, :3], out=d_z[t, :, :3])
            if clips.diff > 0:
                d_z[t].clamp_(-clips.diff, clips.diff)
            d_c_next = d_c.mul_(f[t]).addcmul_(d_z[t, :, 1], peephole_i_c).addcmul_(d_z[t, :, 2], peephole_f_c)
            d_before = d_z[t].view(streams, -1) @ w_gifo_r
            if t > 0:
                d_r[t - 1] += d_before
            else:
                d_r0 = d_before

        d_z_rows = d_z.view(frames * streams, -1)
        d_x = (d_z_rows @ w_gifo_x).view_as(x) if ctx.needs_input_grad[0] else None
        return (
            d_x,
            d_c_next,
            d_r0,
            d_z_rows.t() @ x.reshape(frames * streams, -1),
            d_z_rows.t() @ r[:-1].reshape(frames * streams, -1),
            d_z_rows.sum(0),
            (d_z[:, :, 1] * c[:-1]).sum((0, 1)),
            (d_z[:, :, 2] * c[:-1]).sum((0, 1)),
            (d_z[:, :, 3] * c[1:]).sum((0, 1)),
            d_r.reshape(frames * streams, -1).t() @ m.view(frames * streams, -1),
            None,
        )
