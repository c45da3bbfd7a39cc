"""Diverse beam search: groups of hypotheses that are pushed apart (Vijayakumar et al. 2016)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dragoman_models.arrays import Floats, Integers
from dragoman_models.search.rows import gathered

Found = TypeVar("Found")
Choose = Callable[[Floats, slice, int], Integers]


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
        self, scores: Floats, tokens: Integers, beam_width: int, best: Choose, *, shared: bool
    ) -> Integers:
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
        own = scores.shape[1] if shared else scores.shape[1] // self.groups
        chosen: list[Integers] = []
        for group in range(self.groups):
            part = slice(0, own) if shared else slice(group * own, (group + 1) * own)
            among = scores[:, part]
            if chosen:
                among = among - self.strength * _times(tokens, chosen, scores, part)
            chosen.append(part.start + best(among, part, min(size, own)))
        return np.concatenate(chosen, axis=1)

    def in_turn(self, ranked: Sequence[Found], groups: Sequence[int]) -> list[Found]:
        """The best of each group, then the second of each, and so on; ``groups`` are those of the
        ranked, whose order holds among those that are alike."""
        seen: Counter[int] = Counter()
        rounds = []
        for position, group in enumerate(groups):
            rounds.append((seen[group], position))
            seen[group] += 1
        return [ranked[position] for _, position in sorted(rounds)]


def _times(tokens: Integers, chosen: list[Integers], scores: Floats, part: slice) -> Floats:
    """(B, M') how many of the ``chosen`` end in the same token as those of the part."""
    before = np.concatenate(chosen, axis=1)  # (B, C)
    taken = np.where(np.isneginf(gathered(scores, before)), -1, gathered(tokens, before))
    alike = tokens[:, part, None] == taken[:, None]
    times: Floats = alike.sum(axis=2, dtype=np.float32)
    return times
