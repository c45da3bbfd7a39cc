"""Where words stand to each other: coordinates in the plane, and the matrix of their cosines."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.word_queries import Neighbors, SearchOptions
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import DragomanError, FieldViolation, InvalidInputError

_MOST_WORDS = 2_000
_USUAL_PERPLEXITY = 30.0


class Projection(enum.Enum):
    """How vectors are brought into the plane."""

    PCA = "pca"  # the two directions of greatest variance
    TSNE = "tsne"  # van der Maaten and Hinton 2008: keeps neighbours together, not distances


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """`neighbors` nearest words are put on the map around each word that was asked for.

    `seed` makes t-SNE repeatable.
    """

    projection: Projection = Projection.PCA
    neighbors: int = 5
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class WordMap:
    """n words, each with its place in the plane; the first `asked_count` were asked for."""

    words: tuple[str, ...]
    places: NDArray[np.float64]  # (n, 2)
    asked_count: int


def map_words(vectors: WordVectors, words: Sequence[str], options: MapOptions) -> WordMap:
    """The map of `words` and their nearest words, by unit vectors.

    Raises `InvalidInputError` for fewer than 3 words in all, more than 2,000, and for each word
    that the vectors do not know.
    """
    asked = known_words(vectors, words)
    names = list(dict.fromkeys([*asked, *_around(vectors, asked, options.neighbors)]))
    if not 3 <= len(names) <= _MOST_WORDS:
        raise InvalidInputError.single(
            "words", f"make {len(names):,} points; a map needs 3 to {_MOST_WORDS:,}"
        )
    return WordMap(
        words=tuple(names),
        places=_project(_unit_vectors(vectors, names), options),
        asked_count=len(asked),
    )


def cosine_matrix(vectors: WordVectors, words: Sequence[str]) -> NDArray[np.float64]:
    """The cosines (n, n) of n words; raises `InvalidInputError` for words that are not known."""
    units = _unit_vectors(vectors, known_words(vectors, words))
    return np.clip(units @ units.T, -1.0, 1.0)


def known_words(vectors: WordVectors, words: Sequence[str]) -> list[str]:
    """The words, repeats left out; raises `InvalidInputError` that names each unknown one."""
    distinct = list(dict.fromkeys(words))
    wrong = [
        FieldViolation(field=f"words[{position}]", description=str(answer))
        for position, answer in enumerate(vectors.embed(distinct))
        if isinstance(answer, DragomanError)
    ]
    if wrong:
        raise InvalidInputError(wrong)
    return distinct


def _around(vectors: WordVectors, words: Sequence[str], count: int) -> list[str]:
    if count == 0:
        return []
    answers = vectors.nearest(words, SearchOptions(k=min(count, vectors.vocabulary_size)))
    return [
        neighbor.word
        for answer in answers
        if isinstance(answer, Neighbors)
        for neighbor in answer.neighbors
    ]


def _unit_vectors(vectors: WordVectors, words: Sequence[str]) -> NDArray[np.float64]:
    found: list[NDArray[np.float32]] = []
    for word, answer in zip(words, vectors.embed(words, normalize=True), strict=True):
        if isinstance(answer, DragomanError):
            raise InvalidInputError.single(f"words: {word}", str(answer))
        found.append(answer.vector)
    return np.stack(found).astype(np.float64)  # (n, D)


def _project(units: NDArray[np.float64], options: MapOptions) -> NDArray[np.float64]:
    """The places (n, 2) of unit vectors (n, D)."""
    if options.projection is Projection.TSNE:
        # Imported here: it takes a second, and only this drawing needs it.
        from sklearn.manifold import TSNE

        perplexity = min(_USUAL_PERPLEXITY, (len(units) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=options.seed, metric="cosine")
        return np.asarray(tsne.fit_transform(units), dtype=np.float64)
    centered = units - units.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centered, full_matrices=False)
    places = np.zeros((len(units), 2))
    shown = min(2, len(sizes))
    places[:, :shown] = left[:, :shown] * sizes[:shown]
    return places
