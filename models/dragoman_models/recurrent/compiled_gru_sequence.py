"""`GruSequence` with compiled loops between the products: what training on a CPU uses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dragoman_models.recurrent import gru_kernels
from dragoman_models.recurrent.gate_normalization import EPSILON
from dragoman_models.recurrent.gru_sequence import GruSequence, summed_products


def gru_sequence(
    input_gates: Tensor, weight: Tensor, bias: Tensor,
    mask: Tensor | None = None, gain: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`GruSequence`, compiled where the loops take it: float32 states, widths of 16 units."""
    fits = gru_kernels.can_take(input_gates, weight.size(2))
    kind = CompiledGruSequence if fits else GruSequence
    states: Tensor = kind.apply(input_gates, weight, bias, mask, gain)  # type: ignore[no-untyped-call]
    return states


class CompiledGruSequence(torch.autograd.Function):
    """The recurrence, arguments and result of `GruSequence`."""

    @staticmethod
    def forward(
        ctx: Any, input_gates: Tensor, weight: Tensor, bias: Tensor,
        mask: Tensor | None, gain: Tensor | None,
    ) -> Tensor:  # fmt: skip
        steps, directions, batch, width = input_gates.shape
        rows, size = directions * batch, width // gru_kernels.GATES
        fed = input_gates.float().contiguous()
        states = fed.new_zeros(steps + 1, directions, batch, size)
        gates, active = torch.empty_like(fed), torch.empty_like(fed)
        sums = gates if gain is None else torch.empty_like(fed)
        roots = fed.new_empty(steps, rows, gru_kernels.GATES)
        transposed, typed_bias = weight.transpose(1, 2), bias.to(weight.dtype)
        scale = None if gain is None else (gain.float().contiguous(), bias.float().contiguous())
        for t in range(steps):
            before = (states[t] if mask is None else states[t] * mask).to(weight.dtype)
            if scale is None:
                gates[t] = torch.baddbmm(typed_bias, before, transposed)
            else:
                gates[t] = torch.bmm(before, transposed)
                gru_kernels.normalized(gates[t], *scale, EPSILON, roots[t], sums[t])
            gru_kernels.step(fed[t], sums[t], states[t], active[t], states[t + 1])
        ctx.save_for_backward(weight, states, sums, active, mask, gates, roots)
        ctx.gain, ctx.types = None if scale is None else scale[0], (input_gates.dtype, bias.dtype)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, states, sums, active, mask, gates, roots = ctx.saved_tensors
        input_gradient, gate_gradient = torch.empty_like(active), torch.empty_like(active[0])
        hidden_gradient = torch.empty_like(active, dtype=weight.dtype)
        carried, kept = torch.zeros_like(states[0]), torch.empty_like(states[0])
        to_gain = to_bias = None
        if ctx.gain is not None:
            to_gain, to_bias = torch.zeros_like(ctx.gain), torch.zeros_like(ctx.gain)
        for t in range(len(active) - 1, -1, -1):
            carried += output_gradient[t]
            gru_kernels.step_gradient(
                carried, sums[t], states[t], active[t], input_gradient[t], gate_gradient, kept
            )
            if to_gain is not None and to_bias is not None:
                gru_kernels.normalized_gradient(
                    gate_gradient, gates[t], roots[t], ctx.gain, to_gain, to_bias
                )
            hidden_gradient[t] = gate_gradient
            below = torch.bmm(hidden_gradient[t], weight)
            carried = torch.add(kept, below) if mask is None else torch.addcmul(kept, below, mask)
        before = (states[:-1] if mask is None else states[:-1] * mask).to(weight.dtype)
        if to_bias is None:
            # A product with ones sums the columns faster than sum() does in half precision.
            ones = hidden_gradient.new_ones(*states[1:].shape[:3], 1)
            to_bias = summed_products(ones, hidden_gradient)
        input_type, bias_type = ctx.types
        return (
            input_gradient.to(input_type), summed_products(hidden_gradient, before),
            to_bias.to(bias_type), None, to_gain,
        )  # fmt: skip
