"""Non-maximum suppression, against the rule written out pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.models.vision.detection.box_strategies import boxes

from dragoman_models.vision.detection.predictions import select
from dragoman_models.vision.detection.suppression import suppress

Floats = NDArray[np.float32]


def iou(first: Floats, second: Floats) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - shared
    return float(shared / union) if union > 0 else 0.0


def by_brute_force(
    corners: Floats, scores: Floats, classes: NDArray[np.int64], threshold: float
) -> list[int]:
    """A box stays unless one that stays, of its class and before it, overlaps it too much."""
    order = sorted(range(len(corners)), key=lambda index: (-scores[index], index))
    kept: list[int] = []
    for index in order:
        rivals = [one for one in kept if classes[one] == classes[index]]
        if all(iou(corners[one], corners[index]) <= threshold for one in rivals):
            kept.append(index)
    return kept


@given(
    corners=boxes(0, 20),
    threshold=st.sampled_from([0.1, 0.25, 0.45, 0.7, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_what_stays_is_what_brute_force_keeps(corners: Floats, threshold: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Few different scores, so that there are ties.
    scores = (generator.integers(0, 6, len(corners)) / 8).astype(np.float32)
    classes = generator.integers(0, 3, len(corners))
    found = suppress(corners, scores, classes, iou_threshold=threshold, most=100)
    assert found.tolist() == by_brute_force(corners, scores, classes, threshold)


@given(corners=boxes(1, 20), seed=st.integers(0, 1000), most=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_fewer_detections_are_the_first_of_more(corners: Floats, seed: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.random(len(corners), dtype=np.float32)
    classes = generator.integers(0, 2, len(corners))
    every = suppress(corners, scores, classes, iou_threshold=0.5, most=100)
    few = suppress(corners, scores, classes, iou_threshold=0.5, most=most)
    assert few.tolist() == every[:most].tolist()


def test_doing_it_again_changes_nothing() -> None:
    generator = np.random.default_rng(3)
    low = generator.uniform(0, 60, (300, 2)).astype(np.float32)
    corners = np.hstack([low, low + generator.uniform(5, 40, (300, 2)).astype(np.float32)])
    scores = generator.random(300, dtype=np.float32)
    classes = generator.integers(0, 3, 300)
    kept = suppress(corners, scores, classes, iou_threshold=0.4, most=300)
    again = suppress(corners[kept], scores[kept], classes[kept], iou_threshold=0.4, most=300)
    assert 3 < len(kept) < 300
    assert again.tolist() == list(range(len(kept)))


def test_what_is_not_finite_never_stays() -> None:
    corners = np.array([[0, 0, 9, 9], [0, 0, np.inf, 9], [0, 0, 9, 9]], dtype=np.float32)
    scores = np.array([np.nan, 0.9, 0.5], dtype=np.float32)
    found = suppress(corners, scores, np.zeros(3, dtype=np.int64), iou_threshold=0.5, most=9)
    assert found.tolist() == [2]


def test_a_score_is_the_objects_times_the_most_probable_class() -> None:
    corners = np.array([[0, 0, 9, 9], [20, 20, 30, 30]], dtype=np.float32)
    probabilities = np.array([[0.5, 0.2, 0.8], [0.9, 0.1, 0.05]], dtype=np.float32)
    found = select(corners, probabilities, score_threshold=0.2, iou_threshold=0.5, most=9)
    assert found.classes.tolist() == [1]
    assert found.scores[0] == pytest.approx(0.4)
    assert found.boxes.tolist() == [[0, 0, 9, 9]]
