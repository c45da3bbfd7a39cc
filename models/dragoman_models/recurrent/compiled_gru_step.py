"""One step of a gated recurrent unit, and the normalization of its gates, by compiled loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dragoman_models.recurrent import gru_kernels


class CompiledGruStep(torch.autograd.Function):
    """`gru_kernels.gru_forward` of one step, in float32."""

    @staticmethod
    def forward(ctx: Any, input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
        """i, h (N, 3H), hidden (N, H) -> the next hidden state (N, H)."""
        fed, recurrent, before = (
            part.float().contiguous() for part in (input_gates, hidden_gates, hidden)
        )
        active, after = torch.empty_like(fed), torch.empty_like(before)
        gru_kernels.step(fed, recurrent, before, active, after)
        ctx.save_for_backward(recurrent, before, active)
        ctx.types = input_gates.dtype, hidden_gates.dtype, hidden.dtype
        return after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        recurrent, before, active = ctx.saved_tensors
        found = torch.empty_like(active), torch.empty_like(active), torch.empty_like(before)
        gru_kernels.step_gradient(gradient.contiguous(), recurrent, before, active, *found)
        return tuple(part.to(kind) for part, kind in zip(found, ctx.types, strict=True))


class CompiledNormalization(torch.autograd.Function):
    """`gru_kernels.normalize_forward` of the gates of one step, in float32."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, gain: Tensor, shift: Tensor, epsilon: float) -> Tensor:
        """a (..., 3H), gain, shift (3H,) -> the same shape."""
        normal = gates.to(torch.float32, copy=True).contiguous()
        result = torch.empty_like(normal)
        roots = normal.new_empty(*normal.shape[:-1], gru_kernels.GATES)
        gru_kernels.normalized(normal, gain, shift, epsilon, roots, result)
        ctx.save_for_backward(normal, roots, gain)
        ctx.type = gates.dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        normal, roots, gain = ctx.saved_tensors
        to_gates = gradient.clone(memory_format=torch.contiguous_format)
        to_gain, to_shift = torch.zeros_like(gain), torch.zeros_like(gain)
        gru_kernels.normalized_gradient(to_gates, normal, roots, gain, to_gain, to_shift)
        return to_gates.to(ctx.type), to_gain, to_shift, None
