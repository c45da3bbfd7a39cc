"""A text on two topics, for training to tell apart."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np

from dragoman_models.embeddings.word_queries import WordSimilarity
from dragoman_models.embeddings.word_vectors import WordVectors

FRUIT = ("apple", "pear", "plum", "fig", "lime")
TOOLS = ("saw", "axe", "file", "drill", "plane")


def write_topics(
    path: Path, *, lines: int = 1_500, fruit: tuple[str, ...] = FRUIT, mixing: float = 0.0
) -> Path:
    """Lines that speak of fruit or of tools, with words that both share; `mixing` is the share of
    words that stand in lines of the other topic."""
    random = np.random.default_rng(3)
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            words = []
            for _ in range(8):
                topic = (fruit, TOOLS)[(number + int(random.random() < mixing)) % 2]
                shared = random.random() < 0.3
                words.append(random.choice(["the", "of", "a"] if shared else topic))
            file.write(" ".join(words) + "\n")
    return path


def separation(vectors: WordVectors, fruit: tuple[str, ...] = FRUIT) -> float:
    """By how much the least cosine within a topic is above the greatest across topics."""
    within = [*combinations(fruit, 2), *combinations(TOOLS, 2)]
    return min(_cosines(vectors, within)) - max(_cosines(vectors, list(product(fruit, TOOLS))))


def _cosines(vectors: WordVectors, pairs: list[tuple[str, str]]) -> list[float]:
    answers = vectors.similarity(pairs)
    return [answer.cosine for answer in answers if isinstance(answer, WordSimilarity)]
