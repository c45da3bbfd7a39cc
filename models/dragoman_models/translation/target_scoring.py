"""How probable given translations are under a network, token by token: teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.tokenizer import BOS, EOS
from dragoman_models.translation.corpus import pad
from dragoman_models.translation.network import TranslationNetwork


@dataclass(frozen=True, kw_only=True)
class ScoredTarget:
    """A target's pieces and eos (T): natural log-probabilities, and attention (T, S)."""

    token_log_probs: tuple[float, ...]
    attention: Tensor


@torch.inference_mode()
def score_targets(
    network: TranslationNetwork, sources: Sequence[list[int]], targets: Sequence[list[int]]
) -> list[ScoredTarget]:
    """Scores one batch.

    Args:
        sources: piece ids of each source, eos last.
        targets: piece ids of each target, without eos, which is scored too.
    """
    lengths = [len(source) for source in sources]
    ended = [[*target, EOS] for target in targets]
    memory, state = network.encode(pad(sources), torch.tensor(lengths))
    wanted = pad(ended)  # (B, T)
    previous = torch.full((len(ended),), BOS)
    log_probs, attention = [], []
    for step in range(wanted.size(1)):
        logits, state, weights = network.step(previous, state, memory)
        previous = wanted[:, step]
        chosen = logits.gather(1, previous.unsqueeze(1)).squeeze(1)
        log_probs.append(chosen - torch.logsumexp(logits, dim=1))
        attention.append(weights[:, 0])
    scored, attended = torch.stack(log_probs, dim=1), torch.stack(attention, dim=1)
    return [
        ScoredTarget(
            token_log_probs=tuple(scored[i, : len(target)].tolist()),
            attention=attended[i, : len(target), : lengths[i]].clone(),
        )
        for i, target in enumerate(ended)
    ]
