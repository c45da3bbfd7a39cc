"""Multiplicative attention of a teacher-forced decoder, whose memory's gradient is one product."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dragoman_models.translation.attention import (
    AdditiveAttention,
    AttentionMemory,
    MultiplicativeAttention,
    attend,
)

Steps = list[tuple[Tensor, Tensor, Tensor, Tensor]]
"""Of each step the query (B, 1, Q), its scores' gradient (B, 1, S), the weights (B, 1, S) and the
context's gradient (B, 1, C)."""


def step_attention(
    scorer: MultiplicativeAttention | AdditiveAttention, memory: AttentionMemory
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """`attend` to the memory, for the steps of one teacher-forced pass."""
    if isinstance(scorer, MultiplicativeAttention):
        return StepAttention(memory)
    return partial(attend, scorer, memory=memory)


class StepAttention:
    """`attend` for the steps of one recurrence: one forward and one backward pass.

    Autograd alone writes a matrix of the memory's size at every step and adds it to those before.
    Here each step leaves behind what it is made of, as in `StepLinear`.
    """

    def __init__(self, memory: AttentionMemory) -> None:
        self._steps: Steps = []
        self._keys, self._values = _GatherSteps.apply(  # type: ignore[no-untyped-call]
            memory.keys, memory.values, self._steps
        )
        self._padding = memory.padding.unsqueeze(1)

    def __call__(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, Q) -> context (B, 1, C); and weights (B, 1, S), which pass no gradient."""
        context, weights = _Step.apply(  # type: ignore[no-untyped-call]
            query, self._keys, self._values, self._padding, self._steps
        )
        return context, weights


class _GatherSteps(torch.autograd.Function):
    """The memory itself; backward runs when every step has left its part in ``steps``."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor, values: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        ctx.steps = steps
        ctx.set_materialize_grads(False)  # steps give no gradient of their own
        return keys.view_as(keys), values.view_as(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        if not ctx.steps:
            return None, None, None
        queries, to_scores, weights, to_context = (
            torch.cat(parts, dim=1) for parts in zip(*ctx.steps, strict=True)
        )
        ctx.steps.clear()
        to_keys = torch.bmm(to_scores.transpose(1, 2), queries)
        return to_keys, torch.bmm(weights.transpose(1, 2), to_context), None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, keys: Tensor, values: Tensor, padding: Tensor, steps: Steps
    ) -> tuple[Tensor, Tensor]:
        scores = torch.bmm(query, keys.transpose(1, 2)).float()
        weights = torch.softmax(scores.masked_fill_(padding, float("-inf")), dim=-1)
        typed = weights.to(values.dtype)
        ctx.save_for_backward(query, keys, values, weights, typed)
        ctx.steps = steps
        ctx.mark_non_differentiable(weights)
        return torch.bmm(typed, values), weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_context: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        query, keys, values, weights, typed = ctx.saved_tensors
        to_weights = torch.bmm(to_context, values.transpose(1, 2)).float()
        along = (to_weights * weights).sum(2, keepdim=True)
        to_scores = (weights * (to_weights - along)).to(keys.dtype)
        ctx.steps.append((query, to_scores, typed, to_context))
        return torch.bmm(to_scores, keys), None, None, None, None
