"""Mined triplets are those that a search over all triplets in float64 finds."""

from __future__ import annotations

import itertools
import math
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dragoman_models.vision.verification.triplet_loss import (
    Distance,
    Mining,
    batch_hard_losses,
    pairwise_distances,
    semi_hard_losses,
    triplet_loss,
)


def batch(count: int, class_count: int, seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    vectors = F.normalize(torch.randn(count, 3, generator=chance, dtype=torch.float64), dim=1)
    return vectors, torch.randint(class_count, (count,), generator=chance)


def distance(a: Tensor, b: Tensor, kind: Distance) -> float:
    squared = float((a - b).square().sum())
    return squared if kind == "squared" else math.sqrt(squared)


def hardest_losses(vectors: Tensor, classes: Tensor, margin: float, kind: Distance) -> list[float]:
    """Hermans et al. 2017, equation 5, anchor by anchor."""
    losses = []
    everyone = range(len(vectors))
    for a in everyone:
        near = [
            distance(vectors[a], vectors[n], kind) for n in everyone if classes[n] != classes[a]
        ]
        far = [
            distance(vectors[a], vectors[p], kind)
            for p in everyone
            if p != a and classes[p] == classes[a]
        ]
        if near and far:
            losses.append(max(0.0, margin + max(far) - min(near)))
    return losses


def semi_hard(vectors: Tensor, classes: Tensor, margin: float, kind: Distance) -> list[float]:
    """Schroff et al. 2015, section 3.2, pair by pair."""
    losses = []
    for a, p in itertools.permutations(range(len(vectors)), 2):
        negatives = [
            distance(vectors[a], vectors[n], kind)
            for n in range(len(vectors))
            if classes[n] != classes[a]
        ]
        if classes[a] != classes[p] or not negatives:
            continue
        to_positive = distance(vectors[a], vectors[p], kind)
        farther = [d for d in negatives if d > to_positive]
        chosen = min(farther) if farther else max(negatives)
        losses.append(max(0.0, margin + to_positive - chosen))
    return losses


@pytest.mark.parametrize("kind", ["squared", "euclidean"])
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 9),
    class_count=st.integers(1, 5),
    seed=st.integers(0, 2**20),
    margin=st.floats(0.01, 2),
)
def test_both_minings_are_those_of_brute_force(
    kind: Distance, count: int, class_count: int, seed: int, margin: float
) -> None:
    vectors, classes = batch(count, class_count, seed)
    distances = pairwise_distances(vectors, kind)
    for ours, theirs in ((batch_hard_losses, hardest_losses), (semi_hard_losses, semi_hard)):
        expected = torch.tensor(theirs(vectors, classes, margin, kind), dtype=torch.float64)
        torch.testing.assert_close(ours(distances, classes, margin), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard"])
@pytest.mark.parametrize("kind", ["squared", "euclidean"])
def test_the_gradient_is_that_of_finite_differences(mining: str, kind: str) -> None:
    vectors, classes = batch(8, 3, seed=4)

    def loss(raw: Tensor) -> Tensor:
        return triplet_loss(
            F.normalize(raw, dim=1),
            classes,
            mining=cast(Mining, mining),
            margin=0.5,
            distance=cast(Distance, kind),
        )

    assert torch.autograd.gradcheck(loss, (vectors.requires_grad_(),))


@pytest.mark.parametrize("mining", ["batch_hard", "semi_hard"])
def test_batches_without_triplets_and_equal_images_have_finite_gradients(mining: Mining) -> None:
    for classes in ([0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]):
        raw = torch.ones(4, 3, requires_grad=True)  # all four at one place
        loss = triplet_loss(
            F.normalize(raw, dim=1), torch.tensor(classes), mining=mining, margin=0.2,
            distance="euclidean",
        )  # fmt: skip
        loss.backward()  # type: ignore[no-untyped-call]
        assert float(loss.detach()) == pytest.approx(0.2 if classes == [0, 0, 1, 1] else 0.0)
        assert raw.grad is not None
        assert torch.isfinite(raw.grad).all()


@given(seed=st.integers(0, 2**20), margin=st.floats(0.01, 2))
@settings(max_examples=30, deadline=None)
def test_batch_hard_is_no_less_than_any_triplet_of_its_anchors(seed: int, margin: float) -> None:
    vectors, classes = batch(8, 2, seed)
    distances = pairwise_distances(vectors, "euclidean")
    hardest, easier = (f(distances, classes, margin) for f in (batch_hard_losses, semi_hard_losses))
    if len(easier):
        assert hardest.max() >= easier.max() - 1e-9
