"""Non-maximum suppression: of one class's boxes that overlap, only that of the highest score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def iou_with_many(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box (4,) of corners with many (N, 4): (N,)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = (high - low).clip(min=0).prod(axis=1)
    own = (box[2:] - box[:2]).clip(min=0).prod()
    union = own + (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1) - shared
    iou: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def suppress(
    boxes: Floats,
    scores: Floats,
    classes: NDArray[np.int64],
    *,
    iou_threshold: float,
    most: int,
) -> NDArray[np.int64]:
    """The boxes that stay, as indices in the order of falling scores, at most `most` of them.

    The greedy rule: the box of the highest score stays, and all of its class that overlap it by
    more than `iou_threshold` go; then the next. Equal scores count in the order given. Scores that
    are not a number, and boxes with a corner that is not finite, never stay.

    Args:
        boxes: (N, 4) corners. scores: (N,). classes: (N,).
    """
    sound = np.isfinite(boxes).all(axis=1) & ~np.isnan(scores)
    waiting = np.flatnonzero(sound)
    waiting = waiting[np.argsort(-scores[waiting], kind="stable")]
    kept: list[np.int64] = []
    while len(waiting) and len(kept) < most:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        overlapping = iou_with_many(boxes[best], boxes[waiting]) > iou_threshold
        waiting = waiting[~(overlapping & (classes[waiting] == classes[best]))]
    return np.array(kept, dtype=np.int64)
