"""Two ways to score a decoder state against source positions, behind one interface."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class AttentionMemory(NamedTuple):
    """What attention needs of a source sentence, computed once and read at every decoding step.

    ``keys`` (B, S, A) is what a query is scored against; ``values`` (B, S, C) is what is averaged;
    ``padding`` (B, S) is True where there is no source token.
    """

    keys: Tensor
    values: Tensor
    padding: Tensor


class MultiplicativeAttention(nn.Module):
    """score(h, s) = h . W s / sqrt(Q): the "general" score of Luong et al. 2015, eq. 8, scaled.

    Without the root, large scores saturate the softmax before an alignment is learnt. W and the
    root are applied to the source side, so that a decoding step costs no product with W.
    """

    def __init__(self, *, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key_projection = nn.Linear(memory_size, query_size, bias=False)
        self.scale = query_size**-0.5

    def keys(self, encoded: Tensor) -> Tensor:
        """(B, S, memory) -> (B, S, query)."""
        return self.key_projection(encoded) * self.scale  # type: ignore[no-any-return]

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, K, query), (B, S, query) -> (B, K, S)."""
        return torch.bmm(query, keys.transpose(1, 2))


class AdditiveAttention(nn.Module):
    """score(h, s) = v . tanh(W h + U s), Bahdanau et al. 2015, appendix A.1.2."""

    def __init__(self, *, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_projection = nn.Linear(query_size, query_size, bias=False)
        self.key_projection = nn.Linear(memory_size, query_size)
        self.energy = nn.Parameter(torch.empty(query_size).uniform_(-0.1, 0.1))

    def keys(self, encoded: Tensor) -> Tensor:
        """(B, S, memory) -> (B, S, query)."""
        return self.key_projection(encoded)  # type: ignore[no-any-return]

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, K, query), (B, S, query) -> (B, K, S)."""
        summed = self.query_projection(query).unsqueeze(2) + keys.unsqueeze(1)  # (B, K, S, A)
        return torch.tanh(summed) @ self.energy.to(summed.dtype)


def attend(
    scorer: MultiplicativeAttention | AdditiveAttention, query: Tensor, memory: AttentionMemory
) -> tuple[Tensor, Tensor]:
    """Averages the memory's values under softmax(scores).

    Args:
        query: (B, K, Q), K queries for each of B source sentences.
    Returns:
        context (B, K, C) and weights (B, K, S), which sum to one and are zero on padding.
    """
    scores = scorer.scores(query, memory.keys).float()
    scores = scores.masked_fill(memory.padding.unsqueeze(1), float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    return torch.bmm(weights.to(memory.values.dtype), memory.values), weights
