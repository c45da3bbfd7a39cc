"""Several models of one vocabulary as one model, for any search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dragoman_models.search.beam_search import SearchModel


class EnsembleModel:
    """p(y_t | y_<t, x) = 1/M * sum over m of p_m(y_t | y_<t, x): the arithmetic mean of the
    probabilities of M models, at each step. Attention is their mean too.

    A `SearchModel` whose state is the states of its members, in order.
    """

    def __init__(self, members: Sequence[SearchModel[Any]]) -> None:
        self._members = tuple(members)

    def step(
        self, previous: Tensor, state: tuple[Any, ...]
    ) -> tuple[Tensor, tuple[Any, ...], Tensor | None]:
        """The logits are log-probabilities."""
        log_probs, states, attention = [], [], []
        for member, own in zip(self._members, state, strict=True):
            logits, own, weights = member.step(previous, own)
            log_probs.append(torch.log_softmax(logits, dim=1))
            states.append(own)
            attention += [] if weights is None else [weights]
        mean = torch.logsumexp(torch.stack(log_probs), dim=0) - math.log(len(log_probs))  # (N, V)
        everywhere = len(attention) == len(log_probs)
        return mean, tuple(states), torch.stack(attention).mean(dim=0) if everywhere else None

    def select(
        self, state: tuple[Any, ...], sentences: Tensor | None, rows: Tensor
    ) -> tuple[Any, ...]:
        """As each member selects."""
        return tuple(
            member.select(own, sentences, rows)
            for member, own in zip(self._members, state, strict=True)
        )
