"""How probable given translations are under a network, token by token: teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from dragoman_models.search.beam_search import SearchModel
from dragoman_models.tokenizer import BOS, EOS
from dragoman_models.translation.corpus import pad

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class ScoredTarget:
    """A target's pieces and eos (T): natural log-probabilities, and attention (T, S)."""

    token_log_probs: tuple[float, ...]
    attention: Tensor


@torch.inference_mode()
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
    wanted = pad(ended)  # (B, T)
    previous = torch.full((len(ended),), BOS)
    log_probs, attention = [], []
    for step in range(wanted.size(1)):
        logits, state, weights = model.step(previous, state)
        previous = wanted[:, step]
        chosen = logits.gather(1, previous.unsqueeze(1)).squeeze(1)
        log_probs.append(chosen - torch.logsumexp(logits, dim=1))
        assert weights is not None  # noqa: S101 - every translator has attention
        attention.append(weights)
    scored, attended = torch.stack(log_probs, dim=1), torch.stack(attention, dim=1)
    return [
        ScoredTarget(
            token_log_probs=tuple(scored[i, : len(target)].tolist()),
            attention=attended[i, : len(target), : source_lengths[i]].clone(),
        )
        for i, target in enumerate(ended)
    ]
