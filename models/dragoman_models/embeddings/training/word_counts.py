"""How often each word stands in a text, and which words become the vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError, quoted

# Vocabulary and wire formats allow no longer word.
_LONGEST_WORD = 1_000


@dataclass(frozen=True, kw_only=True)
class WordCounts:
    """The vocabulary, most frequent word first."""

    words: tuple[str, ...]
    counts: NDArray[np.int64]  # (V,)
    text_words: int  # all words of the text, those outside the vocabulary too

    @property
    def known_words(self) -> int:
        """The words of the text that are in the vocabulary."""
        return int(self.counts.sum())


def select_words(
    counter: Mapping[str, int],
    *,
    min_count: int,
    max_words: int | None = None,
    text_words: int | None = None,
    always: Collection[str] = (),
) -> WordCounts:
    """The words that stand at least `min_count` times, and those of `always` that stand at all; at
    most `max_words` of them, the most frequent, and equally frequent ones by their characters.

    `text_words` is given where `counter` leaves words of the text out. Raises `TrainingError` where
    fewer than two words are left.
    """
    total = sum(counter.values())
    if not total:
        raise TrainingError("corpus: holds no words; give a text with words")
    kept = [
        (word, count)
        for word, count in counter.items()
        if (count >= min_count or (count > 0 and word in always)) and len(word) <= _LONGEST_WORD
    ]
    if len(kept) < 2:
        word, count = max(counter.items(), key=lambda item: item[1])
        raise TrainingError(
            f"min_count: {len(kept)} words stand {min_count:,} times or more, and training needs "
            f"2; the most frequent, {quoted(word)}, stands {count:,} times: give a smaller "
            "min_count or more text"
        )
    return _ordered(dict(kept), total if text_words is None else text_words, max_words)


def merged_counts(old: WordCounts, new: WordCounts) -> WordCounts:
    """The words of both with their counts added up."""
    counts = dict(zip(old.words, old.counts.tolist(), strict=True))
    for word, count in zip(new.words, new.counts.tolist(), strict=True):
        counts[word] = counts.get(word, 0) + count
    return _ordered(counts, old.text_words + new.text_words)


def _ordered(
    counts: Mapping[str, int], text_words: int, max_words: int | None = None
) -> WordCounts:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:max_words]
    return WordCounts(
        words=tuple(word for word, _ in ordered),
        counts=np.array([count for _, count in ordered], dtype=np.int64),
        text_words=text_words,
    )
