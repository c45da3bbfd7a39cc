"""Labels of a map stay beside their points and cover nothing where there is room."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.embeddings.label_places import place_labels

FRAME = np.array([0.0, 0, 600, 500])


def covered(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return float(np.clip(sides, 0, None).prod())


@settings(derandomize=True)  # that there is room is likely, not certain
@given(st.integers(0, 2**32 - 1))
def test_a_few_labels_cover_nothing_and_stay_inside(seed: int) -> None:
    random = np.random.default_rng(seed)
    # A point for each cell of a grid, so that there is always room, and some at the very edge.
    cells = np.stack(np.meshgrid(np.arange(6), np.arange(10)), axis=2).reshape(-1, 2)
    points = (cells + random.random(cells.shape)) * (100, 50)
    sizes = np.stack([random.uniform(10, 45, 60), np.full(60, 9.0)], axis=1)
    boxes = place_labels(points, sizes, FRAME)
    np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], sizes)
    for index, box in enumerate(boxes):
        assert covered(box, FRAME) > sizes[index].prod() - 1e-6
        assert not any(covered(box, other) for other in boxes[:index])


def test_points_at_one_place_have_labels_apart() -> None:
    boxes = place_labels(np.full((6, 2), 250.0), np.full((6, 2), 20.0), FRAME)
    pairs = [(a, b) for index, a in enumerate(boxes) for b in boxes[:index]]
    assert not any(covered(a, b) for a, b in pairs)


def test_the_first_label_is_to_the_upper_right() -> None:
    (box,) = place_labels(np.array([[250.0, 250.0]]), np.array([[30.0, 10.0]]), FRAME)
    assert box[0] > 250
    assert box[1] > 250


def test_labels_without_room_are_still_placed() -> None:
    boxes = place_labels(np.full((40, 2), 5.0), np.full((40, 2), 30.0), np.array([0.0, 0, 9, 9]))
    assert np.isfinite(boxes).all()
    assert place_labels(np.empty((0, 2)), np.empty((0, 2)), FRAME).shape == (0, 4)
