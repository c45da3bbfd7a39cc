"""COCO's average precision, by COCO's own code (pycocotools)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dragoman_models.metrics.average_precision import ImageObjects


@dataclass(frozen=True, kw_only=True)
class CocoFigures:
    """Average precision, 101 points, at most 100 detections an image and class.

    map50: mean over classes at IoU 0.5. map50_95: also over IoU 0.5, 0.55, ..., 0.95. ap50 and
    ap50_95: for each class, not a number where there is no such object.
    """

    map50: float
    map50_95: float
    ap50: tuple[float, ...]
    ap50_95: tuple[float, ...]


def coco_figures(
    objects: Sequence[ImageObjects], detections: Sequence[ImageObjects], *, classes: int
) -> CocoFigures:
    """The figures of detections over images, one of each in the same order."""
    with contextlib.redirect_stdout(io.StringIO()):  # it reports what it does
        truth = _dataset(objects, classes)
        found = _dataset(detections, classes)
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # IoU thresholds, recalls, classes, areas (the first is all), most detections (the last is 100).
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # (10, 101, classes), -1 unknown
    known = np.where(precision < 0, np.nan, precision).mean(axis=1)  # (10, classes)
    return CocoFigures(
        map50=float(np.nanmean(known[0])),
        map50_95=float(np.nanmean(known)),
        ap50=tuple(known[0].tolist()),
        ap50_95=tuple(known.mean(axis=0).tolist()),
    )


def _dataset(images: Sequence[ImageObjects], classes: int) -> Any:
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(1, len(images) + 1)],
        "categories": [{"id": number} for number in range(1, classes + 1)],
        "annotations": [
            row for image, one in enumerate(images, start=1) for row in _rows(image, one)
        ],
    }
    for number, row in enumerate(coco.dataset["annotations"], start=1):
        row["id"] = number
    coco.createIndex()
    return coco


def _rows(image: int, one: ImageObjects) -> list[dict[str, Any]]:
    corners = np.asarray(one.boxes, dtype=np.float64).reshape(-1, 4)
    sizes = corners[:, 2:] - corners[:, :2]
    rows: list[dict[str, Any]] = [
        {
            "image_id": image,
            "category_id": int(class_id) + 1,
            "bbox": [*corner[:2].tolist(), *size.tolist()],
            "area": float(size.prod()),
            "iscrowd": 0,
        }
        for corner, size, class_id in zip(corners, sizes, one.classes, strict=True)
    ]
    if one.scores is not None:
        for row, score in zip(rows, one.scores.tolist(), strict=True):
            row["score"] = score
    return rows
