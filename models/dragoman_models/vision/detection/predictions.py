"""From the network's outputs to the detections of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.vision.detection.suppression import suppress

_MOST_CANDIDATES = 4096  # of the highest scores; suppression's time grows with them


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Objects found in one image, by falling score: corners (N, 4), scores (N,), classes (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


def select(
    boxes: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    *,
    score_threshold: float,
    iou_threshold: float,
    most: int,
) -> Detections:
    """The detections of one image.

    Args:
        boxes: (N, 4) corners of all predictions.
        probabilities: (N, 1 + classes): of an object, and of each class if there is one. A
            prediction's score is the object's times the most probable class's, as in YOLO v2.
    """
    classes = probabilities[:, 1:].argmax(axis=1)  # (N,)
    best = np.take_along_axis(probabilities[:, 1:], classes[:, None], axis=1)[:, 0]
    scores = probabilities[:, 0] * best
    chosen = np.flatnonzero(scores >= score_threshold)
    if len(chosen) > _MOST_CANDIDATES:
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")[:_MOST_CANDIDATES]]
    kept = chosen[
        suppress(
            boxes[chosen], scores[chosen], classes[chosen],
            iou_threshold=iou_threshold, most=most,
        )
    ]  # fmt: skip
    return Detections(boxes=boxes[kept], scores=scores[kept], classes=classes[kept])


def joined(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The logits (B, A, H, W, 5 + classes) of all strides as (B, N, 5 + classes)."""
    return np.concatenate([one.reshape(len(one), -1, one.shape[-1]) for one in outputs], axis=1)
