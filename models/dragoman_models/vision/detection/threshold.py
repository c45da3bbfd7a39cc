"""The score from which a box is taken for an object, and what is found and missed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman_models.metrics.average_precision import PrecisionRecall


@dataclass(frozen=True, kw_only=True)
class AtThreshold:
    """Precision, recall and their harmonic mean where boxes from a score on are answered."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """2 p r / (p + r); 0 where nothing is right."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def at_threshold(curves: Sequence[PrecisionRecall], threshold: float) -> AtThreshold:
    """Of all classes together; precision is 1 where nothing is answered."""
    answered, right, objects = 0, 0.0, 0
    for curve in curves:
        count = int((curve.scores >= threshold).sum())
        answered += count
        right += float(curve.precision[count - 1]) * count if count else 0.0
        objects += curve.objects
    return AtThreshold(
        precision=right / answered if answered else 1.0, recall=right / objects if objects else 0.0
    )


def best_threshold(curves: Sequence[PrecisionRecall]) -> float:
    """The score with the best F1 of all classes together; halfway to the next score below it."""
    scores = np.unique(np.concatenate([curve.scores for curve in curves] or [np.empty(0)]))
    if not len(scores):
        return 0.5
    best = max(scores.tolist(), key=lambda score: at_threshold(curves, score).f1)
    below = scores[scores < best]
    return float((best + below[-1]) / 2 if len(below) else best)
