"""Anchors: typical sizes of a data set's boxes, by k-means on intersection over union.

Redmon and Farhadi (2017), section 2: the distance of a box to a cluster is 1 - IoU of both laid
upon one centre, so that large boxes do not count for more than small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError

_MOST_ROUNDS = 300


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """Sizes (K, 2) of width and height, by rising area, and the mean IoU of boxes with the best."""

    sizes: NDArray[np.float64]
    mean_iou: float


def best_iou(
    sizes: NDArray[np.float64], anchors: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best anchor of each size, and its IoU: (N, 2) and (K, 2) to (N,) and (N,)."""
    shared = np.minimum(sizes[:, None], anchors[None]).prod(axis=2)  # (N, K)
    union = sizes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - shared
    iou = shared / union
    best = iou.argmax(axis=1)
    return best, iou[np.arange(len(sizes)), best]


def cluster_sizes(
    sizes: NDArray[np.float64], count: int, generator: np.random.Generator, *, starts: int = 5
) -> Anchors:
    """The best of several k-means clusterings of box sizes (N, 2), widths and heights.

    A cluster's centre is the median of its sizes. Starts are drawn as in k-means++, with
    (1 - IoU)^2 as the squared distance.

    Raises:
        TrainingError: there are fewer different sizes than anchors.
    """
    different = len(np.unique(sizes, axis=0)) if len(sizes) else 0
    if different < count:
        raise TrainingError(
            f"anchors: the boxes have {different} different sizes, too few for {count} anchors"
        )
    found = [_clustered(sizes, _first(sizes, count, generator)) for _ in range(starts)]
    best = max(found, key=lambda anchors: best_iou(sizes, anchors)[1].mean())
    ordered = best[np.argsort(best.prod(axis=1), kind="stable")]
    return Anchors(sizes=ordered, mean_iou=float(best_iou(sizes, ordered)[1].mean()))


def _first(
    sizes: NDArray[np.float64], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    chosen = [sizes[generator.integers(len(sizes))]]
    while len(chosen) < count:
        distance = (1 - best_iou(sizes, np.array(chosen))[1]).clip(min=0) ** 2
        chosen.append(sizes[generator.choice(len(sizes), p=distance / distance.sum())])
    return np.array(chosen)


def _clustered(sizes: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    owner = np.full(len(sizes), -1)
    for _ in range(_MOST_ROUNDS):
        nearest = best_iou(sizes, anchors)[0]
        if (nearest == owner).all():
            break
        owner = nearest
        anchors = np.array(
            [
                np.median(sizes[owner == index], axis=0) if (owner == index).any() else anchor
                for index, anchor in enumerate(anchors)
            ]
        )
    return anchors
