"""Anchors by k-means on intersection over union."""

import itertools

import numpy as np
import pytest

from dragoman_models.errors import TrainingError
from dragoman_models.vision.detection.anchors import best_iou, cluster_sizes


def test_they_are_the_clusters_that_the_sizes_were_drawn_from() -> None:
    generator = np.random.default_rng(1)
    centres = np.array([[12.0, 12.0], [40.0, 90.0], [120.0, 60.0]])
    sizes = np.concatenate(
        [
            one * generator.uniform(0.9, 1.1, (50 * (place + 1), 2))
            for place, one in enumerate(centres)
        ]
    )
    found = cluster_sizes(sizes, 3, np.random.default_rng(2))
    np.testing.assert_allclose(found.sizes, centres, rtol=0.05)
    assert found.mean_iou == pytest.approx(best_iou(sizes, found.sizes)[1].mean())
    assert found.mean_iou > 0.85


def test_they_are_as_good_as_the_best_choice_among_the_sizes_nearly() -> None:
    sizes = np.random.default_rng(3).uniform(5, 100, (14, 2))
    best = max(
        best_iou(sizes, np.array(chosen))[1].mean() for chosen in itertools.combinations(sizes, 3)
    )
    assert cluster_sizes(sizes, 3, np.random.default_rng(4)).mean_iou >= 0.95 * best


def test_more_anchors_fit_better_and_the_same_seed_gives_the_same() -> None:
    sizes = np.random.default_rng(5).uniform(5, 100, (200, 2))
    fits = [cluster_sizes(sizes, count, np.random.default_rng(6)) for count in (1, 3, 9)]
    assert fits[0].mean_iou < fits[1].mean_iou < fits[2].mean_iou
    again = cluster_sizes(sizes, 9, np.random.default_rng(6))
    assert np.array_equal(again.sizes, fits[2].sizes)
    assert (np.diff(fits[2].sizes.prod(axis=1)) >= 0).all()


@pytest.mark.parametrize("sizes", [np.empty((0, 2)), np.full((40, 2), 7.0)])
def test_too_few_different_sizes_are_refused(
    sizes: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    with pytest.raises(TrainingError, match="too few for 2 anchors"):
        cluster_sizes(sizes, 2, np.random.default_rng(1))
