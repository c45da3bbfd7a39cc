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
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

_LARGEST_CHUNK = 1 << 23  # logits, 16 MB in half precision


def _chunk_rows(vocabulary: int) -> int:
    return max(128, _LARGEST_CHUNK // vocabulary)


class _Part(NamedTuple):
    """One softmax, and where the gradient of its weights goes."""

    weight: Tensor  # (n, E)
    bias: Tensor  # (n,)
    weight_gradient: Tensor
    bias_gradient: Tensor

    def learn(self, hidden: Tensor, target: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(M, E), (M,) -> summed loss (), gradient of hidden (M, E); fills the weights' gradients.

        With p the softmax, the gradient of the logits is p - onehot(target).
        """
        typed_weight, typed_bias = self.weight.to(dtype), self.bias.to(dtype)
        hidden_gradient = torch.empty_like(hidden, dtype=dtype)
        loss = self.bias.new_zeros(())
        rows = _chunk_rows(len(self.weight))
        ones = hidden.new_ones(1, rows, dtype=dtype)
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            chunk, gold = hidden[part].to(dtype), target[part].unsqueeze(1)
            probabilities = torch.softmax(torch.addmm(typed_bias, chunk, typed_weight.t()), dim=1)
            right = probabilities.gather(1, gold).to(self.bias.dtype)
            loss -= right.clamp_min_(1e-30).log_().sum()
            difference = probabilities.scatter_add_(
                1, gold, probabilities.new_full(gold.shape, -1.0)
            )
            torch.mm(difference, typed_weight, out=hidden_gradient[part])
            of_weight = difference.t() @ chunk  # (n, E)
            # A product with ones sums the columns faster than sum() does in half precision.
            of_bias = (ones[:, : len(difference)] @ difference)[0]
            if start:
                self.weight_gradient.add_(of_weight)
                self.bias_gradient.add_(of_bias)
            else:  # the gradients are not filled with zeros first: that is as slow as a product
                self.weight_gradient.copy_(of_weight)
                self.bias_gradient.copy_(of_bias)
        return loss, hidden_gradient


class SummedCrossEntropy(torch.autograd.Function):
    """Sum over rows of -log p(target), in nats, p of the full or the adaptive softmax."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, clusters: Tensor,
        cluster_bias: Tensor, target: Tensor, bounds: Sequence[int], dtype: torch.dtype,
    ) -> Tensor:  # fmt: skip
        """Shapes as in `OutputLayer`; hidden (N, E), target (N,) -> (); products in ``dtype``."""
        of_weight, of_bias = torch.empty_like(weight), torch.empty_like(bias)
        first, in_head = bounds[0], target
        tails: list[tuple[Tensor, _Part, int]] = []
        for number, (low, high) in enumerate(pairwise(bounds)):
            members = ((target >= low) & (target < high)).nonzero().squeeze(1)  # (M,)
            in_head = in_head.index_fill(0, members, first + number)
            own = slice(low, high)
            tails.append(
                (members, _Part(weight[own], bias[own], of_weight[own], of_bias[own]), low)
            )
        if tails:
            head_weight = torch.cat([weight[:first], clusters])
            head = _Part(
                head_weight, torch.cat([bias[:first], cluster_bias]),
                torch.empty_like(head_weight), bias.new_empty(len(head_weight)),
            )  # fmt: skip
        else:
            head = _Part(weight, bias, of_weight, of_bias)
        loss, of_hidden = head.learn(hidden, in_head, dtype)
        if tails:
            of_weight[:first], of_bias[:first] = (
                head.weight_gradient[:first],
                head.bias_gradient[:first],
            )
        for members, part, low in tails:
            if len(members):
                added, gradient = part.learn(hidden[members], target[members] - low, dtype)
                loss += added
                of_hidden.index_add_(0, members, gradient)
            else:
                part.weight_gradient.zero_()
                part.bias_gradient.zero_()
        of_clusters = (
            (head.weight_gradient[first:], head.bias_gradient[first:])
            if tails
            else (torch.zeros_like(clusters), torch.zeros_like(cluster_bias))
        )
        ctx.gradients = (of_hidden.to(hidden.dtype), of_weight, of_bias, *of_clusters)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Scales what forward computed where it lies, so it works once."""
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("this loss can be differentiated only once")
        return (*(one.mul_(gradient) for one in gradients), None, None, None)


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
        loss: Tensor = SummedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, self.weight, self.bias, self.clusters, self.cluster_bias, target,
            self.bounds, dtype,
        )  # fmt: skip
        return loss

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
