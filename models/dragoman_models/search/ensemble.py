"""Several models of one vocabulary as one model, for any search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dragoman_models.arrays import Floats, Integers
from dragoman_models.search.beam_search import SearchModel
from dragoman_models.search.rows import log_sum_exp


class EnsembleModel:
    """p(y_t | y_<t, x) = 1/M * sum over m of p_m(y_t | y_<t, x): the arithmetic mean of the
    probabilities of M models, at each step. Attention is their mean too.

    A `SearchModel` whose state is the states of its members, in order.
    """

    def __init__(self, members: Sequence[SearchModel[Any]]) -> None:
        self._members = tuple(members)

    def step(
        self, previous: Integers, state: tuple[Any, ...]
    ) -> tuple[Floats, tuple[Any, ...], Floats | None]:
        """The logits are log-probabilities."""
        log_probs, states, attention = [], [], []
        for member, own in zip(self._members, state, strict=True):
            logits, own, weights = member.step(previous, own)
            log_probs.append(logits - log_sum_exp(logits, axis=1))
            states.append(own)
            attention += [] if weights is None else [weights]
        mean = log_sum_exp(np.stack(log_probs), axis=0)[0] - math.log(len(log_probs))
        everywhere = len(attention) == len(log_probs)
        return mean, tuple(states), np.stack(attention).mean(axis=0) if everywhere else None

    def select(
        self, state: tuple[Any, ...], sentences: Integers | None, rows: Integers
    ) -> tuple[Any, ...]:
        """As each member selects."""
        return tuple(
            member.select(own, sentences, rows)
            for member, own in zip(self._members, state, strict=True)
        )
