"""The detector of blood cells that ships, on a picture of its test list (BCCD, MIT licence)."""

from pathlib import Path

import numpy as np
import pytest

import dragoman_models
from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.metrics.average_precision import ImageObjects, precision_recall
from dragoman_models.registry import load_model
from dragoman_models.vision.detection.detector import SingleShotDetector
from dragoman_models.vision.detection.evaluation import as_found, as_objects
from dragoman_models.vision.detection.voc_dataset import VocDataset
from dragoman_models.vision.results import DetectionOptions, RgbImage

PRETRAINED = Path(dragoman_models.__file__).parent / "pretrained"
CELLS = Path(__file__).parent / "blood_cells"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(PRETRAINED / "bccd" / "1")


@pytest.fixture(scope="module")
def detector(bundle: Bundle) -> SingleShotDetector:
    loaded = load_model(bundle)
    assert isinstance(loaded, SingleShotDetector)
    return loaded


@pytest.fixture(scope="module")
def cells() -> tuple[RgbImage, ImageObjects]:
    dataset = VocDataset(CELLS, labels=["Platelets", "RBC", "WBC"])
    (image,) = dataset.images
    return dataset.pixels(image), as_objects([image])[0]


def test_it_finds_the_cells_of_a_picture_it_has_not_seen(
    detector: SingleShotDetector, cells: tuple[RgbImage, ImageObjects]
) -> None:
    pixels, objects = cells
    (found,) = detector.detections([pixels], DetectionOptions())
    curves = [
        precision_recall([objects], [as_found(found)], class_id=class_id, iou_threshold=0.5)
        for class_id in range(len(detector.labels))
    ]
    right = [float(one.recall[-1]) * one.objects for one in curves]
    assert all(right)  # some of each class
    # It finds 90 % of all test objects (its card); these are 19.
    assert sum(right) >= 0.8 * len(objects.boxes)


def test_cells_turned_and_enlarged_are_the_same_cells(
    detector: SingleShotDetector, cells: tuple[RgbImage, ImageObjects]
) -> None:
    pixels, _ = cells
    (upright,) = detector.detections([pixels], DetectionOptions())
    larger = np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)
    turned = np.ascontiguousarray(pixels[::-1, ::-1])
    for changed, boxes in (
        (larger, upright.boxes * 2),
        (turned, np.array([640, 480, 640, 480]) - upright.boxes[:, [2, 3, 0, 1]]),
    ):
        (found,) = detector.detections([changed], DetectionOptions())
        seen = ImageObjects(boxes=boxes, classes=upright.classes)
        curve = [
            precision_recall([seen], [as_found(found)], class_id=class_id, iou_threshold=0.5)
            for class_id in range(3)
        ]
        right = sum(one.recall[-1] * one.objects for one in curve if len(one.recall))
        assert right >= 0.8 * len(upright.boxes)


def test_where_there_are_no_cells_it_finds_none(detector: SingleShotDetector) -> None:
    for shade in (0, 127, 255):
        empty = np.full((480, 640, 3), shade, dtype=np.uint8)
        assert detector.detect([empty], DetectionOptions()) == [[]]


def test_the_bundle_is_small_and_says_where_it_comes_from(bundle: Bundle) -> None:
    assert sum(one.stat().st_size for one in bundle.path.iterdir()) <= 8_000_000
    assert bundle.config["labels"] == ["Platelets", "RBC", "WBC"]
    for part in ("MIT", "shenggan", "EfficientNet-Lite0", "BloodImage_00343", "no medical device"):
        assert part in bundle.card
    assert bundle.metrics["test"]["images"] == 87
    assert bundle.file("precision-recall.png").startswith(b"\x89PNG")
