"""Scores of two systems' vectors on the same word sets, by Dragoman's evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dragoman_models.embeddings.evaluation import (
    AnalogyItem,
    SimilarityJudgement,
    evaluate_analogies,
    evaluate_similarities,
    parse_analogies,
    parse_similarities,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class WordSets:
    """What vectors are scored on."""

    analogies: list[AnalogyItem]
    similarities: dict[str, list[SimilarityJudgement]]


def read_sets(analogies: Path | None, similarities: list[str]) -> WordSets:
    """Reads questions-words.txt, and similarity sets given as NAME=FILE."""
    questions = parse_analogies(analogies.read_text(encoding="utf-8")) if analogies else []
    judgements = {}
    for item in similarities:
        name, _, file = item.partition("=")
        judgements[name] = parse_similarities(Path(file).read_text(encoding="utf-8"))
    return WordSets(analogies=questions, similarities=judgements)


def scores_of(vectors: WordVectors, sets: WordSets) -> dict[str, float]:
    """Points: the share of covered analogies that are right, and 100 times Spearman's rho."""
    scores: dict[str, float] = {}
    if sets.analogies:
        scores["analogies"] = 100 * evaluate_analogies(vectors, sets.analogies).total.accuracy
    for name, judgements in sets.similarities.items():
        scores[name] = 100 * evaluate_similarities(vectors, judgements).spearman
    return scores


def read_vectors(path: str) -> WordVectors:
    """The vectors that a run left in PATH.npy and PATH.words."""
    words = Vocabulary.from_bytes(Path(path + ".words").read_bytes())
    return WordVectors(words, np.load(path + ".npy").astype(np.float32))
