"""What is looked for among word vectors, where it is not simply a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class VectorQuery:
    """A vector of as many components as the model's, for example ``client.embed(...).values``."""

    values: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class WeightedWords:
    """A weighted sum of words' vectors, each scaled to length 1 first; 1 to 100 terms.

    Attributes:
        terms: words with their weights, which may be negative; a word may come more than once.
    """

    terms: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, plus: Sequence[str] = (), minus: Sequence[str] = ()) -> WeightedWords:
        """The sum of the words in ``plus``, less those in ``minus``."""
        added = [(word, 1.0) for word in plus]
        return cls(terms=(*added, *((word, -1.0) for word in minus)))

    @classmethod
    def from_weights(cls, weights: Mapping[str, float]) -> WeightedWords:
        """The sum with the weights of a mapping from words."""
        return cls(terms=tuple(weights.items()))


Query: TypeAlias = str | VectorQuery | WeightedWords
"""A word, a vector, or a weighted sum of words."""
