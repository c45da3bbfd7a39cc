"""Which words of a translation and of its source belong together, from the attention of pieces.

Words are what Unicode's default word boundaries (UAX #29) divide a text into, without blanks: a
punctuation mark is one, and so is each ideograph. With A (T, S) the attention, the share of target
word w that source word v gets is

    share(w, v) = mean over the pieces t that touch w of sum over s of A[t, s] * part(s, v)

where part(s, v) is the share of the characters of piece s, blanks apart, that lie in v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import regex

LEAST_SHARE = 0.2  # a weaker link says more of the network's doubt than of the words

Span = tuple[int, int]  # from, to: code points

_BOUNDARIES = regex.compile(r"(?wV1)\b")


@dataclass(frozen=True, kw_only=True)
class WordLink:
    """A word of the translation and a word of the source, as spans; the share is up to 1."""

    source: Span
    target: Span
    weight: float

    def moved(self, *, source: int, target: int) -> WordLink:
        """The same link where both texts begin so many code points later."""
        return replace(
            self,
            source=(self.source[0] + source, self.source[1] + source),
            target=(self.target[0] + target, self.target[1] + target),
        )


def words_of(text: str) -> list[Span]:
    """The spans of the words, in order; none holds a blank at its ends, and none overlap."""
    places = sorted({0, *(match.start() for match in _BOUNDARIES.finditer(text)), len(text)})
    found = []
    for start, end in pairwise(places):
        part = text[start:end]
        if word := part.strip():
            start += len(part) - len(part.lstrip())
            found.append((start, start + len(word)))
    return found


def word_links(
    attention: npt.NDArray[np.float32],
    *,
    source: str,
    target: str,
    source_pieces: Sequence[Span],
    target_pieces: Sequence[Span],
) -> tuple[WordLink, ...]:
    """The links of at least ``LEAST_SHARE``, by target word, the strongest of each first.

    Args:
        attention: (T, S), rows sum to at most one.
        source_pieces, target_pieces: S and T spans in ``source`` and ``target``; those of pieces
            that stand for nothing in the text, such as eos, are empty.
    """
    source_words, target_words = words_of(source), words_of(target)
    touched = _overlap(target_words, target_pieces) > 0  # (words, T)
    parts = _overlap(source_words, source_pieces)  # (words, S)
    parts = parts / np.maximum(parts.sum(axis=0), 1.0)
    mean = touched / np.maximum(touched.sum(axis=1, keepdims=True), 1)
    shares = mean @ attention.astype(np.float64) @ parts.T  # (target words, source words)
    links = []
    for row, span in zip(shares, target_words, strict=True):
        order = np.argsort(-row, kind="stable")
        links += [
            WordLink(source=source_words[v], target=span, weight=min(float(row[v]), 1.0))
            for v in order[row[order] >= LEAST_SHARE].tolist()
        ]
    return tuple(links)


def _overlap(words: Sequence[Span], pieces: Sequence[Span]) -> npt.NDArray[np.float64]:
    """(words, pieces): how many code points they share."""
    first = np.array(words, dtype=np.float64).reshape(-1, 1, 2)
    second = np.array(pieces, dtype=np.float64).reshape(1, -1, 2)
    ends = np.minimum(first[..., 1], second[..., 1])
    starts = np.maximum(first[..., 0], second[..., 0])
    shared: npt.NDArray[np.float64] = np.maximum(ends - starts, 0.0)
    return shared
