"""A linear layer applied step after step, whose weight gradient is one product for all steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Steps = list[
    tuple[Tensor, Tensor]
]  # of each step the input (N, I) and the output's gradient (N, O)


class StepLinear:
    """A linear layer for the steps of one recurrence: one forward and one backward pass.

    Autograd alone multiplies an (O, N) by an (N, I) matrix at every step and adds up as many
    weight-sized results, which is mostly memory traffic. Here each step leaves its input and its
    gradient behind, and when all have, one product (O, T N) by (T N, I) gives the weight's.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        """Products are computed in ``dtype``; the weight's gradient keeps the weight's type."""
        self._steps: Steps = []
        self._weight, self._bias = _GatherSteps.apply(  # type: ignore[no-untyped-call]
            linear.weight, linear.bias, self._steps, dtype
        )

    def __call__(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        output: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
            inputs.to(self._weight.dtype), self._weight, self._bias, self._steps
        )
        return output


class _GatherSteps(torch.autograd.Function):
    """The typed weight and bias; backward runs when every step has left its part in ``steps``."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, steps: Steps, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor | None]:
        ctx.steps, ctx.types = steps, (weight.dtype, None if bias is None else bias.dtype)
        ctx.set_materialize_grads(False)  # steps give no gradient of their own
        return weight.to(dtype, copy=True), None if bias is None else bias.to(dtype, copy=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Any, ...]:
        if not ctx.steps:
            return None, None, None, None
        inputs, gradients = (torch.cat(parts) for parts in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        weight_type, bias_type = ctx.types
        bias = None
        if bias_type is not None:
            # A product with ones sums the columns faster than sum() does in half precision.
            bias = (gradients.new_ones(1, len(gradients)) @ gradients)[0].to(bias_type)
        return (gradients.t() @ inputs).to(weight_type), bias, None, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.steps = steps
        return nn.functional.linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        inputs, weight = ctx.saved_tensors
        ctx.steps.append((inputs, gradient))
        return gradient @ weight, None, None, None
