"""Label-smoothed cross-entropy fused with the output layer.

The softmax over the vocabulary is most of a small translator's training step. This computes the
loss and its gradient chunk by chunk, so that the (tokens, vocabulary) matrix never exists as a
whole, and folds the smoothing's uniform part into rank-one corrections.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 512  # rows; 512 x 8,000 half-precision logits (8 MB) stay in the last-level cache


class SmoothedCrossEntropy(torch.autograd.Function):
    """Mean over rows of  -(1 - e) log p(target) - (e / V) sum_v log p(v)  (Szegedy et al. 2016).

    With logits l = h W^T + b and p = softmax(l), the gradient is dl = p - e / V - (1 - e) onehot.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """(N, E), (V, E), (V,), (N,) -> smoothed loss () with gradient, plain loss () without."""
        rows, vocabulary = len(hidden), len(weight)
        typed_weight, typed_bias = weight.to(dtype), bias.to(dtype)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        hidden_gradient = torch.empty_like(hidden, dtype=torch.float32)
        target_logits = hidden.new_empty(rows, dtype=torch.float32)
        normalizers = hidden.new_empty(rows, dtype=torch.float32)
        ones = hidden.new_ones(1, CHUNK, dtype=dtype)
        for start in range(0, rows, CHUNK):
            part = slice(start, start + CHUNK)
            chunk, gold = hidden[part].to(dtype), target[part].unsqueeze(1)
            logits = torch.addmm(typed_bias, chunk, typed_weight.t())
            target_logits[part] = logits.gather(1, gold).squeeze(1)
            probabilities = torch.softmax(logits, dim=1)
            gold_probability = probabilities.gather(1, gold).float().clamp_min_(1e-30)
            normalizers[part] = target_logits[part] - gold_probability.log().squeeze(1)
            wrong = (gold_probability + (smoothing - 1.0)).to(dtype)
            difference = probabilities.scatter_(1, gold, wrong)
            hidden_gradient[part] = difference @ typed_weight
            weight_gradient += difference.t() @ chunk
            # A product with ones sums the columns faster than sum() does in half precision.
            bias_gradient += (ones[:, : len(difference)] @ difference)[0]
        uniform, summed_weight = smoothing / vocabulary, weight.sum(0)
        hidden_gradient -= uniform * summed_weight
        weight_gradient -= uniform * hidden.sum(0, dtype=torch.float32)
        bias_gradient -= uniform * rows
        ctx.save_for_backward(hidden_gradient / rows, weight_gradient / rows, bias_gradient / rows)
        plain = (normalizers - target_logits).mean()
        mean_logits = (hidden.float() @ summed_weight + bias.sum()) / vocabulary
        smoothed = (1 - smoothing) * plain + smoothing * (normalizers - mean_logits).mean()
        ctx.mark_non_differentiable(plain)
        return smoothed, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor, _plain: Tensor) -> tuple[Any, ...]:
        hidden, weight, bias = ctx.saved_tensors
        return (
            hidden * loss_gradient, weight * loss_gradient, bias * loss_gradient, None, None, None,
        )  # fmt: skip
