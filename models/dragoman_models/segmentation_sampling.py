"""Segmentations drawn at random, for subword regularization.

Our own draws, not sentencepiece's: its generator cannot be fixed across processes, and a training
that is resumed must read what it would have read. No piece reaches over a blank, so the words of a
text are segmented one by one, and what is needed of a word is kept.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence

_KEPT_WORDS = 100_000

Cut = tuple[int, int]  # where a piece begins in the word, and its id


class UnigramSampler:
    """Draws from the lattice of a unigram model with P(segmentation)^alpha, normalized (Kudo 2018,
    section 3.3): forward sums of each position, then pieces from the end of the word backward."""

    def __init__(self, scores: Mapping[str, tuple[int, float]], *, alpha: float) -> None:
        """Args: scores: of each piece its id and log-probability, in nats."""
        self._scores, self._alpha = scores, alpha
        self._longest = max(map(len, scores), default=0)
        self._kept: dict[str, list[tuple[list[Cut], list[float]]]] = {}

    def sample(self, word: str, chance: random.Random) -> list[int] | None:
        """Ids of the word's pieces; None where no segmentation has known pieces alone."""
        ends = self._kept.get(word)
        if ends is None:
            if len(self._kept) >= _KEPT_WORDS:
                self._kept.clear()
            ends = self._kept[word] = self._lattice(word)
        end, drawn = len(word), []
        while end:
            cuts, weights = ends[end]
            if not cuts:
                return None
            # What stands on a path of one piece costs no draw.
            cut = 0 if len(cuts) == 1 else chance.choices(range(len(cuts)), cum_weights=weights)[0]
            end, id_ = cuts[cut]
            drawn.append(id_)
        return drawn[::-1]

    def _lattice(self, word: str) -> list[tuple[list[Cut], list[float]]]:
        """Of each end the pieces that can stand before it, and their cumulated probabilities."""
        sums = [0.0]  # logarithms of the forward sums
        ends: list[tuple[list[Cut], list[float]]] = [([], [])]
        for end in range(1, len(word) + 1):
            cuts, logs = [], []
            for begin in range(max(0, end - self._longest), end):
                entry = self._scores.get(word[begin:end])
                if entry is not None and sums[begin] > -math.inf:
                    cuts.append((begin, entry[0]))
                    logs.append(sums[begin] + self._alpha * entry[1])
            highest = max(logs, default=-math.inf)
            shares = [math.exp(log - highest) for log in logs]
            sums.append(highest + math.log(sum(shares)) if shares else -math.inf)
            ends.append((cuts, list(itertools.accumulate(shares))))
        return ends


class BpeSampler:
    """BPE-dropout (Provilkov et al. 2020, algorithm 1): before each merge, each merge that is
    possible is left out with probability alpha, and the best of the others is made; a word is
    done when none is left."""

    def __init__(self, scores: Mapping[str, tuple[int, float]], *, alpha: float) -> None:
        """Args: scores: of each piece its id, and a number that is higher the earlier its merge
        was learnt."""
        self._scores, self._alpha = scores, alpha

    def sample(self, word: str, chance: random.Random) -> list[int] | None:
        """Ids of the word's pieces; None where a character is not a piece."""
        if any(character not in self._scores for character in word):
            return None
        symbols = list(word)
        while True:
            best, place = -math.inf, -1
            for i, pair in enumerate(itertools.pairwise(symbols)):
                entry = self._scores.get("".join(pair))
                if entry is not None and entry[1] > best and chance.random() >= self._alpha:
                    best, place = entry[1], i
            if place < 0:
                return [self._scores[symbol][0] for symbol in symbols]
            symbols[place : place + 2] = ["".join(symbols[place : place + 2])]


def words_of(pieces: Sequence[str], blank: str) -> list[range]:
    """Of each word, which of a text's pieces it has; it begins with a blank."""
    begins = [i for i, piece in enumerate(pieces) if i == 0 or piece.startswith(blank)]
    return [range(*pair) for pair in itertools.pairwise([*begins, len(pieces)])]
