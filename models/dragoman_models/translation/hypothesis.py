"""One translation, with its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dragoman_models.translation.word_alignment import WordLink


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One translation.

    Attributes:
        score: ``log_prob`` divided by the length normalization; what hypotheses are ranked by.
        log_prob: natural logarithm of the probability of the pieces and eos, given the source.
        tokens: target pieces, eos (written ``</s>``) last.
        token_log_probs: one for each of ``tokens``.
        truncated: the most allowed pieces were written, and eos was forced.
        attention: (len(tokens), source pieces with eos), rows sum to one; None if not asked for.
        word_links: words that the attention links; empty if not asked for.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    truncated: bool
    attention: npt.NDArray[np.float32] | None
    word_links: tuple[WordLink, ...] = ()
