"""What is asked of word vectors, and what they answer."""

import enum
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.word_lookup import ResolvedWord, WordLookup


class AnalogyMethod(enum.Enum):
    """How a candidate d is scored for a : b :: c : d, all vectors scaled to length 1 first."""

    THREE_COS_ADD = "3cosadd"  # cos(d, b - a + c): Mikolov et al. 2013; Levy and Goldberg 2014
    THREE_COS_MUL = "3cosmul"  # cos'(d, b) cos'(d, c) / (cos'(d, a) + 0.001): Levy and Goldberg


class SearchMethod(enum.Enum):
    """Whether the answer must be exact."""

    EXACT = "exact"  # compares with every word
    APPROXIMATE = "approximate"  # by the index in the bundle: faster, may miss a neighbour


@dataclass(frozen=True, kw_only=True)
class EmbeddedWord:
    """A word with its vector, (D,) in float32."""

    word: ResolvedWord
    vector: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class WordSimilarity:
    """The cosine of two words' vectors, from -1 to 1."""

    first: ResolvedWord
    second: ResolvedWord
    cosine: float


@dataclass(frozen=True, kw_only=True)
class WeightedWord:
    """One term of a weighted sum of words."""

    word: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class WeightedWords:
    """A query that is a weighted sum of words' vectors, each scaled to length 1 first."""

    words: tuple[WeightedWord, ...]


# A word, a vector (D,), or a weighted sum of words.
NearestQuery: TypeAlias = "str | NDArray[Any] | WeightedWords"


@dataclass(frozen=True, kw_only=True)
class AnalogyQuestion:
    """a is to b as c is to ...: man, king, woman gives queen."""

    a: str
    b: str
    c: str


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What is searched, and how.

    `k` is from 1 to the vocabulary's size; fewer answers come back only when fewer qualify. Words
    of the query are left out of its answers unless `include_query_words`. `excluded_words` that the
    vocabulary lacks have no effect. `max_rank` searches only that many most frequent words.
    APPROXIMATE, which analogies by 3CosMul do not have, is answered exactly where the filters leave
    few candidates; `Neighbors.method` says how it was done.
    """

    k: int = 10
    lookup: WordLookup = WordLookup.CASE_FALLBACK
    include_query_words: bool = False
    excluded_words: tuple[str, ...] = ()
    max_rank: int | None = None
    min_score: float | None = None
    method: SearchMethod = SearchMethod.EXACT


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """A word near a query."""

    word: str
    score: float  # cosine, or the score of the analogy's method
    rank: int  # by frequency, from 1


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """The answer to one query or analogy: highest score first, then the more frequent word."""

    query_words: tuple[ResolvedWord, ...]  # in the query's order; empty for a vector
    neighbors: tuple[Neighbor, ...]
    method: SearchMethod = SearchMethod.EXACT
