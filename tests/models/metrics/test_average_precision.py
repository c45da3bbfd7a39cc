"""Average precision, against pycocotools and against areas worked out by hand."""

import contextlib
import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dragoman_models.metrics.average_precision import (
    COCO_IOU_THRESHOLDS,
    ImageObjects,
    Interpolation,
    PrecisionRecall,
    mean_average_precision,
    precision_recall,
)

_CLASSES = 3


def by_pycocotools(
    objects: Sequence[ImageObjects], detections: Sequence[ImageObjects]
) -> tuple[float, float]:
    """COCO's mean average precision at IoU 0.5, and over 0.5 to 0.95."""

    def entries(images: Sequence[ImageObjects]) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for image, one in enumerate(images, start=1):
            for index, (box, class_id) in enumerate(zip(one.boxes, one.classes, strict=True)):
                width, height = float(box[2] - box[0]), float(box[3] - box[1])
                row: dict[str, object] = {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(class_id) + 1,
                    "bbox": [float(box[0]), float(box[1]), width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
                if one.scores is not None:
                    row["score"] = float(one.scores[index])
                rows.append(row)
        return rows

    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(1, len(objects) + 1)],
        "categories": [{"id": number} for number in range(1, _CLASSES + 1)],
        "annotations": entries(objects),
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(entries(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1]), float(evaluation.stats[0])


def scene(seed: int) -> tuple[list[ImageObjects], list[ImageObjects]]:
    """Objects in a few images; detections near some of them, of wrong classes, and of nothing."""
    generator = np.random.default_rng(seed)
    objects, found = [], []
    for _ in range(int(generator.integers(1, 6))):
        count = int(generator.integers(1, 9))
        low = generator.uniform(0, 80, (count, 2))
        truth = np.hstack([low, low + generator.uniform(5, 40, (count, 2))])
        classes = generator.integers(0, _CLASSES, count)
        objects.append(ImageObjects(boxes=truth, classes=classes))
        seen = generator.integers(0, count, int(generator.integers(1, 15)))
        spread = generator.choice([0.0, 1.0, 3.0, 12.0])
        corners = truth[seen] + generator.normal(0, spread, (len(seen), 4))
        corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
        kinds = np.where(
            generator.random(len(seen)) < 0.8,
            classes[seen],
            generator.integers(0, _CLASSES, len(seen)),
        )
        scores = generator.integers(1, 20, len(seen)) / 20  # with ties
        found.append(ImageObjects(boxes=corners, classes=kinds, scores=scores))
    return objects, found


@pytest.mark.parametrize("seed", range(25))
def test_it_is_what_pycocotools_computes(seed: int) -> None:
    objects, found = scene(seed)
    at_half, over_all = by_pycocotools(objects, found)
    assert mean_average_precision(objects, found, classes=_CLASSES) == pytest.approx(
        at_half, abs=1e-9
    )
    assert mean_average_precision(
        objects, found, classes=_CLASSES, iou_thresholds=COCO_IOU_THRESHOLDS
    ) == pytest.approx(over_all, abs=1e-9)


def curve(right: Sequence[bool], objects: int) -> PrecisionRecall:
    hits = np.cumsum(np.array(right, dtype=np.float64))
    return PrecisionRecall(
        precision=hits / np.arange(1, len(right) + 1),
        recall=hits / objects,
        scores=np.linspace(1, 0, len(right)),
        objects=objects,
    )


def test_the_area_under_all_points_is_that_of_a_sum_by_hand() -> None:
    # Right, wrong, right, of 4 objects: precision 1 to recall 1/4, then 2/3 to recall 2/4.
    found = curve([True, False, True], 4).average_precision(Interpolation.ALL_POINTS)
    assert found == pytest.approx(1 / 4 + 1 / 4 * 2 / 3)


@given(right=st.lists(st.booleans(), max_size=60), missed=st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_101_points_are_near_the_area_and_both_within_bounds(
    right: list[bool], missed: int
) -> None:
    objects = sum(right) + missed
    if not objects:
        return
    one = curve(right, objects)
    area = one.average_precision(Interpolation.ALL_POINTS)
    points = one.average_precision(Interpolation.COCO_101_POINTS)
    assert 0 <= area <= sum(right) / objects + 1e-12
    # A function that falls from at most 1 to 0 differs from its mean at 101 points by no more.
    assert points == pytest.approx(area, abs=0.0101)


def test_every_object_found_without_a_mistake_is_one_and_none_found_is_zero() -> None:
    objects, _ = scene(1)
    perfect = [
        ImageObjects(boxes=one.boxes, classes=one.classes, scores=np.ones(len(one.classes)))
        for one in objects
    ]
    nothing = [
        ImageObjects(boxes=np.empty((0, 4)), classes=np.empty(0, int), scores=np.empty(0))
        for _ in objects
    ]
    for way in Interpolation:
        assert mean_average_precision(
            objects, perfect, classes=3, iou_thresholds=(0.5, 0.95), interpolation=way
        ) == pytest.approx(1.0)
        assert mean_average_precision(objects, nothing, classes=3, interpolation=way) == 0.0


def test_an_object_counts_once_however_often_it_is_found() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    objects = [ImageObjects(boxes=box, classes=np.array([0]))]
    twice = ImageObjects(
        boxes=np.repeat(box, 2, axis=0), classes=np.array([0, 0]), scores=np.array([0.9, 0.8])
    )
    found = precision_recall(objects, [twice], class_id=0, iou_threshold=0.5)
    assert found.precision.tolist() == [1.0, 0.5]
    assert found.recall.tolist() == [1.0, 1.0]


def test_a_class_without_objects_has_no_average_precision_and_does_not_count() -> None:
    objects, found = scene(2)
    none = precision_recall(objects, found, class_id=7, iou_threshold=0.5)
    assert math.isnan(none.average_precision(Interpolation.ALL_POINTS))
    assert mean_average_precision(objects, found, classes=8) == mean_average_precision(
        objects, found, classes=3
    )


def test_other_images_or_missing_scores_are_refused() -> None:
    objects, found = scene(4)
    with pytest.raises(ValueError, match="same images"):
        precision_recall(objects, found[:-1], class_id=0, iou_threshold=0.5)
    with pytest.raises(ValueError, match="scores"):
        precision_recall(objects, objects, class_id=0, iou_threshold=0.5)
