"""How probable given translations are under a network, token by token: teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dragoman_models.arrays import Floats
from dragoman_models.search.beam_search import SearchModel
from dragoman_models.search.rows import log_sum_exp
from dragoman_models.tokenizer import BOS, EOS, PAD

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class ScoredTarget:
    """A target's pieces and eos (T): natural log-probabilities, and attention (T, S)."""

    token_log_probs: tuple[float, ...]
    attention: Floats


def score_targets(
    model: SearchModel[State],
    state: State,
    source_lengths: Sequence[int],
    targets: Sequence[list[int]],
) -> list[ScoredTarget]:
    """Scores one batch.

    Args:
        state: the model's state of one row a source, before the first token.
        source_lengths: tokens of each source with eos.
        targets: piece ids of each target, without eos, which is scored too.
    """
    ended = [[*target, EOS] for target in targets]
    wanted = np.full((len(ended), max(map(len, ended))), PAD)  # (B, T)
    for row, target in zip(wanted, ended, strict=True):
        row[: len(target)] = target
    previous = np.full(len(ended), BOS)
    log_probs, attention = [], []
    for tokens in np.ascontiguousarray(wanted.T):
        logits, state, weights = model.step(previous, state)
        chosen = logits[np.arange(len(tokens)), tokens]
        log_probs.append(chosen - log_sum_exp(logits, axis=1)[:, 0])
        assert weights is not None  # noqa: S101 - every translator has attention
        attention.append(weights)
        previous = tokens
    scored, attended = np.stack(log_probs, axis=1), np.stack(attention, axis=1)
    return [
        ScoredTarget(
            token_log_probs=tuple(scored[i, : len(target)].tolist()),
            attention=attended[i, : len(target), : source_lengths[i]].copy(),
        )
        for i, target in enumerate(ended)
    ]
