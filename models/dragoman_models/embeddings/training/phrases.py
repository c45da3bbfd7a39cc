"""Phrases: pairs of words that stand together far more often than chance would have it.

A pair scores (count(ab) - discount) N / (count(a) count(b)), for N words in the vocabulary, and is
a phrase above a threshold (Mikolov et al. 2013, eq. 6; the factor N, as in their released program,
makes the threshold independent of the text's size). Going over the text again finds longer phrases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import compiled
from dragoman_models.embeddings.training.encoded_text import (
    UNKNOWN,
    Ids,
    open_ids,
    read_ids,
    rewrite_ids,
    write_blocks,
)
from dragoman_models.embeddings.training.pair_counts import (
    Keys,
    PairCounter,
    PairWindow,
    Sums,
    merge_runs,
    pair_of,
)
from dragoman_models.embeddings.training.word_counts import WordCounts, select_words

JOINER = "_"
_NEXT_TO_EACH_OTHER = PairWindow(width=1, weighted=False, ordered=True)
_S32 = np.uint64(32)


def phrase_scores(
    pair_counts: Sums, first: Sums, second: Sums, *, discount: float, known_words: int
) -> NDArray[np.float64]:
    """Scores (n,) of pairs that stand `pair_counts` times, of words that stand `first` and
    `second` times."""
    scores: NDArray[np.float64] = (pair_counts - discount) * known_words / (first * second)
    return scores


def find_phrases(
    ids: Path, words: WordCounts, *, discount: float, threshold: float, megabytes: float
) -> Keys:
    """The pairs of indices that are phrases, as sorted keys (see `pair_of`)."""
    counter = PairCounter(_NEXT_TO_EACH_OTHER, ids.parent, ids.name, megabytes=megabytes)
    text = open_ids(ids)
    counter.add(text, 0, len(text))
    counter.spill()
    counts = words.counts.astype(np.float64)
    found = [np.empty(0, dtype=np.uint64)]
    for keys, sums in merge_runs(counter.runs):
        first, second = pair_of(keys)
        scores = phrase_scores(
            sums, counts[first], counts[second], discount=discount, known_words=words.known_words
        )
        found.append(keys[scores > threshold])
    for run in counter.runs:
        run.unlink()
    return np.concatenate(found)


def join_phrases(
    ids: Path,
    words: WordCounts,
    phrases: Keys,
    *,
    min_count: int,
    always: Collection[str] = (),
) -> WordCounts:
    """Rewrites the text with its phrases as words, and gives the words that are left.

    From left to right, two words that make a phrase become one, "new_york". Words that then stand
    fewer than `min_count` times become unknown, unless they are among `always`. Raises
    `TrainingError` where too few words are left.
    """
    names = [
        f"{words.words[a]}{JOINER}{words.words[b]}"
        for a, b in zip(*(side.tolist() for side in pair_of(phrases)), strict=True)
    ]
    index = {word: i for i, word in enumerate(words.words)}
    # A text may hold the joined word already: then the phrase is that word.
    numbers = np.array([index.setdefault(name, len(index)) for name in names], dtype=np.int32)
    joined = ids.with_name(ids.name + ".joined")
    write_blocks(joined, _joined_blocks(ids, phrases, numbers))
    counts = np.zeros(len(index), dtype=np.int64)
    for block in read_ids(joined):
        counts += np.bincount(block[block >= 0], minlength=len(index))
    selected = select_words(
        dict(zip(index, counts.tolist(), strict=True)),
        min_count=min_count,
        text_words=words.text_words,
        always=always,
    )
    position = {word: i for i, word in enumerate(selected.words)}
    indices = np.array([position.get(word, UNKNOWN) for word in index], dtype=np.int32)
    rewrite_ids(joined, ids, indices, keep_unknown=True)
    joined.unlink()
    return selected


def _joined_blocks(ids: Path, phrases: Keys, numbers: Ids) -> Iterator[Ids]:
    carried = np.empty(0, dtype=np.int32)  # a block's last word may begin a phrase
    for block in read_ids(ids):
        joined = np.concatenate([carried, block])
        length, used = _join(joined, phrases, numbers)
        carried = joined[used:].copy()
        yield joined[:length]
    yield carried


@compiled
def _join(ids: Ids, phrases: Keys, numbers: Ids) -> tuple[int, int]:
    """Joins in place; returns the new length, and how many of the old words it stands for."""
    length, at = 0, 0
    while at + 1 < len(ids):
        first, second = ids[at], ids[at + 1]
        ids[length] = first
        at += 1
        if first >= 0 and second >= 0 and len(phrases) > 0:
            key = (np.uint64(first) << _S32) | np.uint64(second)
            place = np.searchsorted(phrases, key)
            if place < len(phrases) and phrases[place] == key:
                ids[length] = numbers[place]
                at += 1
        length += 1
    return length, at
