"""A GRU over whole sequences, in several directions at once, with its gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dragoman_models.recurrent.gate_normalization import StepNormalization


class GruSequence(torch.autograd.Function):
    """The recurrence of Cho et al. 2014 in the arrangement of torch.nn.GRU, from a zero state.

    r, z = sigmoid(x_r + W_r h + b_r), sigmoid(x_z + W_z h + b_z);
    n = tanh(x_n + r * (W_n h + b_n));  h' = n + z * (h - n).

    With a mask m, W reads m * h: one mask for all steps (Gal and Ghahramani 2016, eq. 7). With a
    gain g, each W h + b is g * normalized(W h) + b (Ba et al. 2016; `gate_normalization.py`).

    Directions share a step, so their products are one; the weight's gradient is one product over
    all steps. Products are computed in the weight's type, the rest in float32 at least.
    """

    @staticmethod
    def forward(
        ctx: Any, input_gates: Tensor, weight: Tensor, bias: Tensor,
        mask: Tensor | None = None, gain: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """x (T, D, B, 3H), W (D, 3H, H), b (D, 1, 3H), m (D, B, H), g (D, 1, 3H)
        -> h of every step (T, D, B, H)."""
        steps, directions, batch, gates = input_gates.shape
        size = gates // 3
        real = torch.promote_types(input_gates.dtype, torch.float32)
        states = input_gates.new_zeros(steps + 1, directions, batch, size, dtype=real)
        reset_update = states.new_empty(steps, directions, batch, 2 * size)
        new, hidden_new = torch.empty_like(states[1:]), torch.empty_like(states[1:])
        transposed, typed_bias = weight.transpose(1, 2), bias.to(weight.dtype)
        normalization = None if gain is None else StepNormalization(gain.to(real), steps)
        for t in range(steps):
            before = (states[t] if mask is None else states[t] * mask).to(weight.dtype)
            if normalization is None:
                recurrent = torch.baddbmm(typed_bias, before, transposed)
            else:
                product = torch.bmm(before, transposed)
                recurrent = normalization.forward(t, product, bias.to(real))
            gate = torch.add(input_gates[t, ..., : 2 * size], recurrent[..., : 2 * size])
            torch.sigmoid(gate.to(real), out=reset_update[t])
            hidden_new[t] = recurrent[..., 2 * size :]
            reset, update = reset_update[t].chunk(2, dim=2)
            candidate = torch.addcmul(
                input_gates[t, ..., 2 * size :].to(real), reset, hidden_new[t]
            )
            torch.tanh(candidate, out=new[t])
            torch.lerp(new[t], states[t], update, out=states[t + 1])
        ctx.save_for_backward(weight, states, reset_update, new, hidden_new, mask)
        ctx.types, ctx.normalization = (input_gates.dtype, bias.dtype), normalization
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, states, reset_update, new, hidden_new, mask = ctx.saved_tensors
        normalization: StepNormalization | None = ctx.normalization
        reset, update = reset_update.chunk(2, dim=3)
        # What does not depend on later steps is computed for all steps at once.
        to_new = (1 - update) * (1 - new * new)
        to_update = (states[:-1] - new) * update * (1 - update)
        to_reset = hidden_new * reset * (1 - reset)
        input_gradient = output_gradient.new_empty(*new.shape[:3], 3 * new.size(3))
        parts = input_gradient.chunk(3, dim=3)
        hidden_gradient = torch.empty_like(input_gradient, dtype=weight.dtype)
        gate_gradient = hidden_gradient if normalization is None else input_gradient.clone()
        carried = torch.zeros_like(states[0])
        for t in range(len(new) - 1, -1, -1):
            carried += output_gradient[t]
            torch.mul(carried, to_new[t], out=parts[2][t])
            torch.mul(parts[2][t], to_reset[t], out=parts[0][t])
            torch.mul(carried, to_update[t], out=parts[1][t])
            split = 2 * new.size(3)
            gate_gradient[t, ..., :split] = input_gradient[t, ..., :split]
            gate_gradient[t, ..., split:] = parts[2][t] * reset[t]
            if normalization is not None:
                hidden_gradient[t] = normalization.backward(t, gate_gradient[t])
            below = torch.bmm(hidden_gradient[t], weight).to(carried.dtype)
            below = below if mask is None else below * mask
            carried = torch.addcmul(below, carried, update[t])
        before = (states[:-1] if mask is None else states[:-1] * mask).to(weight.dtype)
        weight_gradient = summed_products(hidden_gradient, before)
        # A product with ones sums the columns faster than sum() does in half precision.
        ones = gate_gradient.new_ones(*new.shape[:3], 1)
        bias_gradient = summed_products(ones, gate_gradient)
        gain = None if normalization is None else normalization.gain_gradient(gate_gradient)
        input_type, bias_type = ctx.types
        return (
            input_gradient.to(input_type), weight_gradient, bias_gradient.to(bias_type), None, gain,
        )  # fmt: skip


def summed_products(left: Tensor, right: Tensor) -> Tensor:
    """(T, D, B, M), (T, D, B, N) -> of each direction (D, M, N), summed over steps and rows."""
    flat = [part.transpose(0, 1).flatten(1, 2) for part in (left, right)]
    return torch.bmm(flat[0].transpose(1, 2), flat[1])
