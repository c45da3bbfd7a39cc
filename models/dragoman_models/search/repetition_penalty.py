"""Makes tokens that a hypothesis already holds less attractive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dragoman_models.arrays import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class RepetitionPenalty:
    """Divides the probability of tokens that the hypothesis already holds by ``factor``, 1 or more.

    So the search sees log P - ln(factor) * R, with R the tokens of the hypothesis that occurred in
    it before. Sampling from language models does the same. Keskar et al. 2019 divide logits, whose
    zero has no meaning; a factor of the probability does not depend on where it lies.
    """

    factor: float

    def apply(self, logits: Floats, tokens: Integers) -> None:
        """Lowers logits (B, K, V) in place; tokens (B, K, T), the hypotheses so far."""
        lowered = np.take_along_axis(logits, tokens, 2) - math.log(self.factor)
        np.put_along_axis(logits, tokens, lowered, 2)  # equal where a token occurs several times

    def without(self, log_probs: Floats, tokens: Integers, newest: Integers) -> Floats:
        """Log-probabilities (B, K') of the ``newest`` tokens (B, K'), which ``apply`` lowered where
        the hypotheses (B, K', T) before them hold them, as the model gave them."""
        repeated = (tokens == newest[:, :, None]).any(axis=2)
        return np.where(repeated, log_probs + math.log(self.factor), log_probs)
