"""How much of the source a hypothesis leaves unread, as part of its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman_models.arrays import Floats

_LEAST = np.finfo(np.float32).tiny  # keeps the logarithm finite


@dataclass(frozen=True, kw_only=True)
class CoveragePenalty:
    """beta * sum over source positions of log(min(attention they got, 1)): Wu et al. 2016, eq. 14.

    ``source_lengths``: of each sentence searched; what lies behind is padding.
    """

    beta: float
    source_lengths: Sequence[int]

    def score(self, attention: Floats, sentence: int) -> float:
        """Of one hypothesis, at most 0; ``attention`` (S,) is summed over its tokens."""
        got = attention[: self.source_lengths[sentence]]
        return self.beta * float(np.log(got.clip(_LEAST, 1.0)).sum())
