"""Sets that word vectors are measured on, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dragoman_client.errors import DragomanClientError
from dragoman_client.results import ModelVersion


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Pairs of words with what people said about how alike they are, on any rising scale.

    Attributes:
        pairs: (first, second, judgement), at least 2.
    """

    name: str
    pairs: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, kw_only=True)
class SolvedAnalogies:
    """Analogies with their answers: "a is to b as c is to d".

    Attributes:
        analogies: (a, b, c, d), at least 1.
    """

    name: str
    analogies: tuple[tuple[str, str, str, str], ...]


WordTestSet: TypeAlias = JudgedPairs | SolvedAnalogies


@dataclass(frozen=True, kw_only=True)
class EvaluationProgress:
    """How many items of an evaluation are done, of all."""

    completed: int
    total: int


@dataclass(frozen=True, kw_only=True)
class WordVectorScore:
    """The figures of one test set.

    Attributes:
        item_count: items of the set.
        covered_count: items all of whose words the model knows; only they count.
        spearman: rank correlation of cosine and judgement, -1 to 1; None for analogies.
        accuracy: share of the covered analogies whose first answer is right, 0 to 1; None for
            judged pairs.
    """

    name: str
    item_count: int
    covered_count: int
    spearman: float | None
    accuracy: float | None

    @property
    def coverage(self) -> float:
        """Covered items over all, 0 to 1."""
        return self.covered_count / self.item_count if self.item_count else 0.0


@dataclass(frozen=True, kw_only=True)
class WordVectorEvaluation:
    """What became of each test set, in order: its figures, or its error (not raised)."""

    model: ModelVersion
    results: tuple[WordVectorScore | DragomanClientError, ...]
