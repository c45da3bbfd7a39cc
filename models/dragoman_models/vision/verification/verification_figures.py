"""How well a distance tells pairs of one class from pairs of two: ROC, equal error rate, threshold.

A pair is accepted where its distance is at most the threshold. The false acceptance rate (FAR) is
the share of pairs of two classes that are accepted, the false rejection rate (FRR) that of pairs of
one class that are not; where the two are equal, both are the equal error rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.one_shot import Protocol

Distances = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairDistances:
    """The distances of the pairs of one class and of those of two classes."""

    same: Distances
    different: Distances


@dataclass(frozen=True, kw_only=True)
class Roc:
    """FAR and FRR at each threshold, with rising thresholds; (n,) each."""

    thresholds: Distances
    false_acceptance: Distances
    false_rejection: Distances


@dataclass(frozen=True, kw_only=True)
class EqualError:
    """The equal error rate, and the threshold at which FAR and FRR are equal."""

    rate: float
    threshold: float


def all_pairs(
    data: LabelledImages, vectors: NDArray[np.float32], *, protocol: Protocol
) -> PairDistances:
    """The distances of all pairs of two images: within each group, or of all together (mixed).

    Args:
        vectors: (N, D), of the data's images.

    Raises:
        TrainingError: there is no pair of one class, or none of two.
    """
    groups = np.array(data.class_groups)[data.classes]
    if protocol == "mixed":
        groups = np.full(len(groups), "all")
    same, different = [], []
    for name in np.unique(groups):
        own = np.flatnonzero(groups == name)
        first, second = np.triu_indices(len(own), k=1)
        products = vectors[own].astype(np.float64) @ vectors[own].T.astype(np.float64)
        distances = np.sqrt(np.maximum(2 - 2 * products[first, second], 0))
        is_same = data.classes[own][first] == data.classes[own][second]
        same.append(distances[is_same])
        different.append(distances[~is_same])
    pairs = PairDistances(same=np.concatenate(same), different=np.concatenate(different))
    if not len(pairs.same) or not len(pairs.different):
        raise TrainingError("a threshold needs pairs of one class and pairs of two classes")
    return pairs


def roc(pairs: PairDistances) -> Roc:
    """FAR and FRR of all thresholds, by scikit-learn."""
    from sklearn.metrics import roc_curve

    is_same = np.concatenate([np.ones(len(pairs.same)), np.zeros(len(pairs.different))])
    scores = -np.concatenate([pairs.same, pairs.different])
    accepted_wrongly, accepted_rightly, least_scores = roc_curve(is_same, scores)
    # The first threshold of scikit-learn accepts nothing: that of a distance below 0.
    thresholds = np.where(np.isinf(least_scores), 0.0, -least_scores)
    return Roc(
        thresholds=thresholds,
        false_acceptance=accepted_wrongly,
        false_rejection=1 - accepted_rightly,
    )


def equal_error(curve: Roc) -> EqualError:
    """Where the two rates cross, on straight lines between the thresholds."""
    gap = curve.false_acceptance - curve.false_rejection  # from -1 up to 1
    after = int(np.argmax(gap >= 0))
    before = max(after - 1, 0)
    step = gap[after] - gap[before]
    share = float(-gap[before] / step) if step > 0 else 0.0

    def between(values: NDArray[Any]) -> float:
        return float(values[before] + share * (values[after] - values[before]))

    return EqualError(rate=between(curve.false_acceptance), threshold=between(curve.thresholds))


def rates_at(pairs: PairDistances, threshold: float) -> tuple[float, float]:
    """FAR and FRR of one threshold."""
    return float((pairs.different <= threshold).mean()), float((pairs.same > threshold).mean())


def rejection_at(curve: Roc, false_acceptance: float) -> float:
    """The least FRR whose FAR is at most this."""
    return float(curve.false_rejection[curve.false_acceptance <= false_acceptance].min())
