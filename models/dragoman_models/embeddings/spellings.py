"""Words that are spelt alike: within two edits of a word, whatever the case.

To compare a word with 100,000 others takes some milliseconds, so most are ruled out first by what
an edit can change: the length by at most one, and the set of characters by at most two, one that
goes and one that comes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

_MOST_EDITS = 2
_LONGEST = 64
_REMEMBERED = 1_024  # words asked for last: callers repeat their misspellings
_BITS = 64


class Spellings:
    """A list of words, the preferred first."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._lowered = [word.lower() for word in words]
        self._lengths = np.array([len(word) for word in self._lowered], np.int64)  # (V,)
        self._letters = np.array([_letters(word) for word in self._lowered], np.uint64)  # (V,)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._closest)

    def closest(self, word: str, count: int) -> tuple[str, ...]:
        """At most `count` words, those with the fewest edits first, then the preferred."""
        if len(word) > _LONGEST:
            return ()
        # A word of three letters has too many neighbours two edits away.
        most = min(_MOST_EDITS, len(word) // 2)
        return self._remembered(word.lower(), most, count)

    def _closest(self, lowered: str, most: int, count: int) -> tuple[str, ...]:
        indices = self._possible(lowered, most)
        found = extract(
            lowered,
            [self._lowered[index] for index in indices],
            scorer=OSA.distance,
            score_cutoff=most,
            limit=None,
        )
        nearest = sorted((edits, indices[place]) for _, edits, place in found)[:count]
        return tuple(self._words[index] for _, index in nearest)

    def _possible(self, lowered: str, most: int) -> list[int]:
        """Indices of the words that lengths and letters do not rule out."""
        near = np.abs(self._lengths - len(lowered)) <= most
        changed = np.bitwise_count(self._letters ^ np.uint64(_letters(lowered)))
        near &= changed <= 2 * most
        indices: NDArray[np.int64] = np.flatnonzero(near)
        kept: list[int] = indices.tolist()
        return kept


def _letters(word: str) -> int:
    """The set of characters as bits; several share a bit, which can only hide a change."""
    bits = 0
    for character in word:
        bits |= 1 << ord(character) % _BITS
    return bits
