"""Diverse beam search: groups of hypotheses that are pushed apart (Vijayakumar et al. 2016)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")
Choose = Callable[[Tensor, slice, int], Tensor]


@dataclass(frozen=True, kw_only=True)
class DiverseBeams:
    """``groups`` of as many hypotheses each, which must divide the beam.

    The groups choose one after the other, each as beam search does among continuations of its own
    hypotheses, but with log P - strength * (how many hypotheses of the groups before it chose the
    same token at this step): Hamming diversity, section 4 of the paper. The term decides this
    choice alone; it is no part of the log-probability that a hypothesis goes on with.
    """

    groups: int
    strength: float

    def choose(
        self, scores: Tensor, tokens: Tensor, beam_width: int, best: Choose, *, shared: bool
    ) -> Tensor:
        """Which continuations go on, those of a group side by side.

        Args:
            scores: (B, M) log-probabilities, the continuations of a hypothesis side by side.
            tokens: (B, M), their last tokens.
            best: (B, M') scores of the continuations in the slice, how many -> the best of them.
            shared: there is but one hypothesis yet, the empty one, which all groups continue.
        Returns:
            (B, K') indices, K' at most ``beam_width``.
        """
        size = beam_width // self.groups
        own = scores.size(1) if shared else scores.size(1) // self.groups
        chosen: list[Tensor] = []
        for group in range(self.groups):
            part = slice(0, own) if shared else slice(group * own, (group + 1) * own)
            among = scores[:, part] - self.strength * _times(tokens, chosen, scores, part)
            chosen.append(part.start + best(among, part, min(size, own)))
        return torch.cat(chosen, dim=1)

    def in_turn(self, ranked: Sequence[Found], groups: Sequence[int]) -> list[Found]:
        """The best of each group, then the second of each, and so on; ``groups`` are those of the
        ranked, whose order holds among those that are alike."""
        seen: Counter[int] = Counter()
        rounds = []
        for position, group in enumerate(groups):
            rounds.append((seen[group], position))
            seen[group] += 1
        return [ranked[position] for _, position in sorted(rounds)]


def _times(tokens: Tensor, chosen: list[Tensor], scores: Tensor, part: slice) -> Tensor:
    """(B, M') how many of the ``chosen`` end in the same token as those of the part."""
    if not chosen:
        return torch.zeros(1)
    before = torch.cat(chosen, dim=1)  # (B, C)
    taken = tokens.gather(1, before).masked_fill(scores.gather(1, before).isneginf(), -1)
    return (tokens[:, part].unsqueeze(2) == taken.unsqueeze(1)).sum(dim=2)
