"""Average precision of detections, as COCO and Pascal VOC define it.

Detections of one class in all images are taken by falling score. Each is matched, in that order,
with the object of its image and class that it overlaps most among those not yet taken; it is right
if their intersection over union is at least the threshold, and wrong otherwise. With TP and FP
counted so far, precision is TP / (TP + FP) and recall TP / (number of objects). The average
precision is the area under precision, made non-increasing in recall:

    all points   sum over k of (r_k - r_(k-1)) max_{j >= k} p_j        (Everingham et al. 2015)
    101 points   mean over r = 0, 0.01, ..., 1 of max {p_j : r_j >= r}    (Lin et al. 2014, COCO)

Objects that are hard or crowded have no meaning of their own here; all count.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# IoU 0.50 to 0.95, over which COCO's main figure is the mean; made as pycocotools makes them.
COCO_IOU_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())


class Interpolation(enum.Enum):
    """Where the curve is read."""

    ALL_POINTS = "all points"
    COCO_101_POINTS = "101 points"


@dataclass(frozen=True, kw_only=True)
class ImageObjects:
    """The objects of one image, or what a detector says there is.

    boxes: (N, 4) corners. classes: (N,). scores: (N,), of detections only.
    """

    boxes: NDArray[np.floating]
    classes: NDArray[np.integer]
    scores: NDArray[np.floating] | None = None


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """The curve of one class at one threshold of IoU: a point for each detection.

    precision, recall, scores: (D,), by falling score. objects: how many there are to find.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]
    objects: int

    def average_precision(self, interpolation: Interpolation) -> float:
        """The area under the curve, 0 to 1; not a number where there are no objects."""
        if not self.objects:
            return float("nan")
        if not len(self.precision):
            return 0.0
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]  # (D,)
        if interpolation is Interpolation.ALL_POINTS:
            steps = np.diff(self.recall, prepend=0.0)
            return float((steps * envelope).sum())
        places = np.searchsorted(self.recall, np.linspace(0, 1, 101), side="left")
        padded = np.append(envelope, 0.0)  # a recall that is never reached
        return float(padded[places].mean())


def precision_recall(
    objects: Sequence[ImageObjects],
    detections: Sequence[ImageObjects],
    *,
    class_id: int,
    iou_threshold: float,
    most: int = 100,
) -> PrecisionRecall:
    """The curve of one class over images.

    Args:
        objects, detections: one for each image, in the same order.
        most: only that many detections of the class count in an image, those of highest score.

    Raises:
        ValueError: the numbers of images differ, or detections have no scores.
    """
    if len(objects) != len(detections):
        raise ValueError("objects and detections must be of the same images")
    scores, right, count = [np.empty(0)], [np.empty(0, dtype=bool)], 0
    for truth, found in zip(objects, detections, strict=True):
        if found.scores is None:
            raise ValueError("detections must have scores")
        wanted = truth.boxes[truth.classes == class_id]
        count += len(wanted)
        chosen = np.flatnonzero(found.classes == class_id)
        chosen = chosen[np.argsort(-found.scores[chosen], kind="stable")[:most]]
        scores.append(np.asarray(found.scores[chosen], dtype=np.float64))
        right.append(_matched(found.boxes[chosen], wanted, iou_threshold))
    all_scores = np.concatenate(scores)
    order = np.argsort(-all_scores, kind="stable")
    hits = np.concatenate(right)[order]
    true_positives = hits.cumsum()
    return PrecisionRecall(
        precision=true_positives / np.arange(1, len(hits) + 1),
        recall=true_positives / max(count, 1),
        scores=all_scores[order],
        objects=count,
    )


def _matched(
    found: NDArray[np.floating], wanted: NDArray[np.floating], threshold: float
) -> NDArray[np.bool_]:
    """Which detections (D, 4), by falling score, are right about objects (N, 4)."""
    overlap = _iou(np.asarray(found, np.float64), np.asarray(wanted, np.float64))  # (D, N)
    free = np.ones(len(wanted), dtype=bool)
    right = np.zeros(len(found), dtype=bool)
    for index, row in enumerate(overlap):
        candidates = np.where(free, row, -1.0)
        # Of equal overlaps COCO's code takes the last; so it is done here.
        best = len(wanted) - 1 - int(candidates[::-1].argmax()) if len(wanted) else -1
        if best >= 0 and candidates[best] >= min(threshold, 1 - 1e-10):
            free[best], right[index] = False, True
    return right


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = first.reshape(-1, 4), second.reshape(-1, 4)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=2)
    own = [(boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1) for boxes in (first, second)]
    union = own[0][:, None] + own[1][None, :] - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def mean_average_precision(
    objects: Sequence[ImageObjects],
    detections: Sequence[ImageObjects],
    *,
    classes: int,
    iou_thresholds: Sequence[float] = (0.5,),
    interpolation: Interpolation = Interpolation.COCO_101_POINTS,
    most: int = 100,
) -> float:
    """The mean over classes that occur among the objects, and over thresholds of IoU.

    Not a number where there is no object at all.
    """
    found = [
        precision_recall(
            objects, detections, class_id=class_id, iou_threshold=threshold, most=most
        ).average_precision(interpolation)
        for threshold in iou_thresholds
        for class_id in range(classes)
    ]
    known = [one for one in found if not np.isnan(one)]
    return float(np.mean(known)) if known else float("nan")
