"""Vectors for unknown words, from the vectors of their character n-grams.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information": the word, with "<" put
before it and ">" behind it, is cut into its n-grams of `shortest` to `longest` characters. The
vector of an n-gram is row FNV-1a(n-gram) mod K of a table; the mean of the rows is the word's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FNV_OFFSET, _FNV_PRIME = 2_166_136_261, 16_777_619
_WORD_START, _WORD_END = "<", ">"


@dataclass(frozen=True, kw_only=True)
class SubwordVectors:
    """A table (K, D) of n-gram vectors, float32 or 8- or 16-bit codes with a scale for each row."""

    shortest: int
    longest: int
    codes: NDArray[Any]  # (K, D)
    scales: NDArray[np.float32] | None  # (K,) unless the codes are float32

    @property
    def bucket_count(self) -> int:
        """K, the number of rows."""
        return len(self.codes)

    @property
    def dimensions(self) -> int:
        """D, the number of columns."""
        return int(self.codes.shape[1])

    def vector(self, word: str) -> NDArray[np.float32] | None:
        """The word's vector (D,), or None for a word too short to have an n-gram."""
        rows = [ngram_hash(ngram) % self.bucket_count for ngram in self.ngrams(word)]
        if not rows:
            return None
        vectors = self.codes[rows].astype(np.float64)  # (n, D)
        if self.scales is not None:
            vectors *= self.scales[rows][:, None]
        return np.asarray(vectors.mean(axis=0), dtype=np.float32)

    def ngrams(self, word: str) -> list[str]:
        """The n-grams, repeats included; never the bare start or end mark."""
        return ngrams(word, self.shortest, self.longest)


def ngrams(word: str, shortest: int, longest: int) -> list[str]:
    """The n-grams of `word` between its marks, in the order of their start, then of length."""
    marked = _WORD_START + word + _WORD_END
    last = len(marked)
    return [
        marked[start : start + length]
        for start in range(last)
        for length in range(shortest, min(longest, last - start) + 1)
        if length > 1 or 0 < start < last - 1
    ]


def ngram_hash(ngram: str) -> int:
    """fastText's 32-bit FNV-1a of the UTF-8 bytes, each extended by its sign, as fastText does."""
    value = _FNV_OFFSET
    for byte in ngram.encode("utf-8", "surrogatepass"):
        signed = byte if byte < 0x80 else byte | 0xFFFFFF00
        value = ((value ^ signed) * _FNV_PRIME) & 0xFFFFFFFF
    return value
