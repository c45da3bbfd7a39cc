"""One-shot runs, ROC, equal error rate and the Hausdorff distance, against plain definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.vision.verification.hausdorff import (
    hausdorff_distances,
    inked_points,
    modified_hausdorff,
)
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.one_shot import (
    Episode,
    draw_episodes,
    one_shot_figures,
    vector_distances,
)
from dragoman_models.vision.verification.verification_figures import (
    PairDistances,
    all_pairs,
    equal_error,
    rates_at,
    rejection_at,
    roc,
)


def images(groups: dict[str, int], makers: int = 4) -> LabelledImages:
    """`groups` gives each group's number of classes; every maker made one image of each."""
    of_group = [name for name, count in groups.items() for _ in range(count)]
    count = len(of_group)
    return LabelledImages(
        pixels=np.zeros((count * makers, 1, 8, 8), np.uint8),
        classes=np.repeat(np.arange(count), makers),
        makers=np.tile(np.arange(makers), count),
        class_names=tuple(f"{name}/{number}" for number, name in enumerate(of_group)),
        class_groups=tuple(of_group),
    )


def test_runs_within_a_group_have_one_alphabet_and_two_makers() -> None:
    data = images({"a": 6, "b": 3, "c": 8})
    runs = draw_episodes(data, protocol="within", ways=5, episodes=20, seed=3)
    groups = np.array(data.class_groups)
    for run in runs:
        np.testing.assert_array_equal(data.classes[run.references], data.classes[run.queries])
        assert len(set(data.classes[run.queries])) == 5
        assert len(set(groups[data.classes[run.queries]])) == 1
        (first,), (second,) = set(data.makers[run.references]), set(data.makers[run.queries])
        assert first != second
    used = [groups[data.classes[run.queries[0]]] for run in runs]
    assert (used.count("a"), used.count("b"), used.count("c")) == (10, 0, 10)


def test_mixed_runs_have_any_classes_and_makers_and_repeat_by_their_seed() -> None:
    data = images({"a": 6, "b": 3, "c": 8})
    runs, again = (
        draw_episodes(data, protocol="mixed", ways=10, episodes=20, seed=3) for _ in range(2)
    )
    for run, other in zip(runs, again, strict=True):
        np.testing.assert_array_equal(run.references, other.references)
        np.testing.assert_array_equal(run.queries, other.queries)
        np.testing.assert_array_equal(data.classes[run.references], data.classes[run.queries])
        assert not (run.references == run.queries).any()
        assert len(set(data.classes[run.queries])) == 10


@pytest.mark.parametrize(
    ("protocol", "makers", "message"),
    [
        ("within", 4, "one of 9 classes; the largest has 8"),
        ("mixed", 1, "need 9 classes with two images; there are 0"),
    ],
)
def test_runs_that_cannot_be_drawn_say_why(protocol: Any, makers: int, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        draw_episodes(
            images({"a": 6, "c": 8}, makers), protocol=protocol, ways=9, episodes=1, seed=1
        )


def test_accuracy_counts_queries_whose_own_reference_is_nearest_and_shares_ties() -> None:
    vectors = np.array([[0, 0], [4, 0], [0, 4], [1, 0], [3.5, 0], [3, 0]], np.float32)
    right = Episode(references=np.array([0, 1]), queries=np.array([3, 4]))
    wrong = Episode(references=np.array([0, 2]), queries=np.array([3, 5]))
    figures = one_shot_figures([right, wrong], vector_distances(vectors))
    assert figures.accuracy == pytest.approx(0.75)
    assert figures.deviation == pytest.approx(np.std([1.0, 0.5], ddof=1))
    assert figures.standard_error == pytest.approx(np.std([1.0, 0.5], ddof=1) / np.sqrt(2))
    blind = one_shot_figures([right, wrong], lambda _: np.zeros((2, 2)))
    assert blind.accuracy == pytest.approx(0.5)  # chance


@settings(max_examples=50, deadline=None)
@given(
    same=st.lists(st.integers(0, 12), min_size=1, max_size=30),
    different=st.lists(st.integers(0, 12), min_size=1, max_size=30),
)
def test_the_curve_and_the_equal_error_follow_their_definitions(
    same: list[int], different: list[int]
) -> None:
    pairs = PairDistances(same=np.array(same, float), different=np.array(different, float))
    curve = roc(pairs)
    for threshold, far, frr in zip(
        curve.thresholds[1:], curve.false_acceptance[1:], curve.false_rejection[1:], strict=True
    ):
        assert far == pytest.approx(sum(d <= threshold for d in different) / len(different))
        assert frr == pytest.approx(sum(d > threshold for d in same) / len(same))
        assert (far, frr) == pytest.approx(rates_at(pairs, float(threshold)))
    equal = equal_error(curve)
    lower = max(min(rates_at(pairs, t)) for t in range(-1, 14))
    upper = min(max(rates_at(pairs, t)) for t in range(-1, 14))
    assert lower - 1e-9 <= equal.rate <= upper + 1e-9
    allowed = [t for t in range(-1, 14) if rates_at(pairs, t)[0] <= 0.25]
    assert rejection_at(curve, 0.25) == pytest.approx(min(rates_at(pairs, t)[1] for t in allowed))


def test_the_equal_error_of_distances_that_do_not_overlap_is_zero() -> None:
    pairs = PairDistances(same=np.array([0.1, 0.3]), different=np.array([0.9, 1.2, 1.4]))
    equal = equal_error(roc(pairs))
    assert equal.rate == pytest.approx(0)
    assert rates_at(pairs, equal.threshold) == (0, 0)


@pytest.mark.parametrize("protocol", ["within", "mixed"])
def test_all_pairs_are_all_pairs(protocol: Any) -> None:
    data = images({"a": 2, "b": 3}, makers=3)
    vectors = np.random.default_rng(1).normal(size=(15, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same: list[float] = []
    different: list[float] = []
    for i in range(15):
        for j in range(i):
            one, other = data.classes[i], data.classes[j]
            if protocol == "mixed" or data.class_groups[one] == data.class_groups[other]:
                distance = float(np.linalg.norm(vectors[i].astype(float) - vectors[j]))
                (same if one == other else different).append(distance)
    found = all_pairs(data, vectors, protocol=protocol)
    np.testing.assert_allclose(np.sort(found.same), np.sort(same), atol=1e-6)
    np.testing.assert_allclose(np.sort(found.different), np.sort(different), atol=1e-6)
    with pytest.raises(TrainingError, match="pairs of one class and pairs of two"):
        all_pairs(images({"a": 1}), vectors[:4], protocol=protocol)


def brute_force(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Dubuisson and Jain 1994, equations 6 and of f_2, over all pairs of points."""
    sets = []
    for pixels in (first, second):
        points = np.array([(y, x) for y, x in np.ndindex(*pixels.shape) if pixels[y, x] < 128])
        sets.append(points - points.mean(axis=0))
    a, b = sets
    between = np.sqrt(np.square(a[:, None] - b[None]).sum(axis=2))
    return float(max(between.min(axis=1).mean(), between.min(axis=0).mean()))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**20), share=st.floats(0.05, 0.9))
def test_the_hausdorff_distance_is_that_of_brute_force(seed: int, share: float) -> None:
    chance = np.random.default_rng(seed)
    pixels = np.where(chance.random((2, 1, 9, 7)) < share, 0, 255).astype(np.uint8)
    pixels[:, 0, 0, 0] = 0
    expected = brute_force(pixels[0, 0], pixels[1, 0])
    found = hausdorff_distances(pixels)(Episode(references=np.array([0]), queries=np.array([1])))
    assert found[0, 0] == pytest.approx(expected)


def test_the_hausdorff_distance_does_not_see_where_a_drawing_stands() -> None:
    pixels = np.full((20, 20), 255, np.uint8)
    pixels[3:9, 4] = 0
    moved = np.roll(pixels, (7, 5), (0, 1))
    assert modified_hausdorff(inked_points(pixels), inked_points(moved)) == pytest.approx(0)
    with pytest.raises(InvalidInputError, match="no ink"):
        inked_points(np.full((4, 4), 255, np.uint8))
