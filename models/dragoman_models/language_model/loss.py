"""Cross-entropy fused with the output layer, over one softmax or over an adaptive one.

The (tokens, vocabulary) matrix of logits exists only chunk by chunk, and the gradient is computed
beside the loss while a chunk is at hand: for a large vocabulary this is most of a training step.

The adaptive softmax (Grave et al. 2017) sorts the vocabulary by frequency and cuts it into a head
and tail clusters; the head holds the frequent tokens and one entry a cluster, and a token of a
cluster has the probability P(cluster) P(token | cluster). A cluster's part of the output layer is
multiplied only with the tokens that are in it. Its weights keep their full width here, so that
they can be tied to the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

_LARGEST_CHUNK = 1 << 23  # logits, 16 MB in half precision


def _chunk_rows(vocabulary: int) -> int:
    return max(128, _LARGEST_CHUNK // vocabulary)


class SummedCrossEntropy(torch.autograd.Function):
    """Sum over rows of -log softmax(h W^T + b)[target], in nats.

    With p the softmax, the gradient of the logits is p - onehot(target).
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """(N, E), (V, E), (V,), (N,) -> (); products in ``dtype``."""
        typed_weight, typed_bias = weight.to(dtype), bias.to(dtype)
        weight_gradient = torch.zeros_like(weight)
        bias_gradient = torch.zeros_like(bias)
        hidden_gradient = torch.empty_like(hidden, dtype=bias.dtype)
        losses = hidden.new_empty(len(hidden), dtype=bias.dtype)
        rows = _chunk_rows(len(weight))
        ones = hidden.new_ones(1, rows, dtype=dtype)
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            chunk, gold = hidden[part].to(dtype), target[part].unsqueeze(1)
            probabilities = torch.softmax(torch.addmm(typed_bias, chunk, typed_weight.t()), dim=1)
            gold_probability = probabilities.gather(1, gold)
            losses[part] = -gold_probability.to(bias.dtype).clamp_min_(1e-30).log_().squeeze(1)
            difference = probabilities.scatter_add_(
                1, gold, probabilities.new_full(gold.shape, -1.0)
            )
            hidden_gradient[part] = difference @ typed_weight
            weight_gradient += difference.t() @ chunk
            # A product with ones sums the columns faster than sum() does in half precision.
            bias_gradient += (ones[:, : len(difference)] @ difference)[0]
        ctx.save_for_backward(hidden_gradient.to(hidden.dtype), weight_gradient, bias_gradient)
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        hidden, weight, bias = ctx.saved_tensors
        return hidden * gradient, weight * gradient, bias * gradient, None, None


class OutputLayer:
    """The softmax of a network over its output weights; one without cutoffs, else adaptive.

    Attributes:
        weight: (V, E), rows by falling frequency; bias: (V,).
        clusters: (C, E) and cluster_bias (C,): the head's entries of the C tail clusters.
    """

    def __init__(
        self,
        *,
        weight: Tensor,
        bias: Tensor,
        clusters: Tensor,
        cluster_bias: Tensor,
        cutoffs: Sequence[int],
    ) -> None:
        self.weight, self.bias = weight, bias
        self.clusters, self.cluster_bias = clusters, cluster_bias
        self.bounds = [*cutoffs, len(weight)]  # of the head and then of each cluster

    def _head(self) -> tuple[Tensor, Tensor]:
        first = self.bounds[0]
        if len(self.bounds) == 1:
            return self.weight, self.bias
        return (
            torch.cat([self.weight[:first], self.clusters]),
            torch.cat([self.bias[:first], self.cluster_bias]),
        )

    def summed_loss(self, hidden: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, E), (N,) -> nats of all N tokens, with the gradient; products in ``dtype``."""
        first = self.bounds[0]
        in_head = target
        total = hidden.new_zeros((), dtype=self.bias.dtype)
        for number, (low, high) in enumerate(pairwise(self.bounds)):
            members = ((target >= low) & (target < high)).nonzero().squeeze(1)  # (M,)
            in_head = in_head.masked_fill((target >= low) & (target < high), first + number)
            if len(members):
                total = total + SummedCrossEntropy.apply(  # type: ignore[no-untyped-call]
                    hidden[members], self.weight[low:high], self.bias[low:high],
                    target[members] - low, dtype,
                )  # fmt: skip
        head: Tensor = SummedCrossEntropy.apply(hidden, *self._head(), in_head, dtype)  # type: ignore[no-untyped-call]
        return total + head

    def token_log_probs(self, hidden: Tensor, target: Tensor) -> Tensor:
        """(N, E), (N,) -> natural log-probabilities (N,) of the targets, chunk by chunk."""
        rows = _chunk_rows(self.bounds[0])
        parts = [
            self._chunk_log_probs(hidden[start : start + rows], target[start : start + rows])
            for start in range(0, len(hidden), rows)
        ]
        return torch.cat(parts) if parts else self.bias.new_zeros(0)

    def _chunk_log_probs(self, hidden: Tensor, target: Tensor) -> Tensor:
        first = self.bounds[0]
        head = linear(hidden, *self._head())  # (N, first + C)
        normalizers = torch.logsumexp(head, dim=1)
        in_head, found = target, torch.zeros_like(normalizers)
        for number, (low, high) in enumerate(pairwise(self.bounds)):
            members = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if len(members):
                in_head = in_head.index_fill(0, members, first + number)
                tail = linear(hidden[members], self.weight[low:high], self.bias[low:high])
                gold = (target[members] - low).unsqueeze(1)
                found[members] = tail.gather(1, gold).squeeze(1) - torch.logsumexp(tail, dim=1)
        return found + head.gather(1, in_head.unsqueeze(1)).squeeze(1) - normalizers

    def log_probs(self, hidden: Tensor) -> Tensor:
        """(N, E) -> natural log-probabilities of the whole vocabulary (N, V)."""
        head = torch.log_softmax(linear(hidden, *self._head()), dim=1)
        if len(self.bounds) == 1:
            return head
        first = self.bounds[0]
        parts = [head[:, :first]]
        for number, (low, high) in enumerate(pairwise(self.bounds)):
            tail = linear(hidden, self.weight[low:high], self.bias[low:high])
            parts.append(torch.log_softmax(tail, dim=1) + head[:, first + number, None])
        return torch.cat(parts, dim=1)
