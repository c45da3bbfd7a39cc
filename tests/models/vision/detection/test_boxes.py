"""Intersection over union and its complete variant, against brute force in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from tests.models.vision.detection.box_strategies import boxes
from torch import Tensor

from dragoman_models.vision.detection.boxes import (
    areas,
    iou_and_ciou,
    pairwise_iou,
    shape_iou,
    to_centres,
    to_corners,
)

Floats = NDArray[np.float32]


def iou_by_counting(first: Floats, second: Floats) -> float:
    """By the quarters of pixels that both, and that either, cover."""
    covered = []
    for x_min, y_min, x_max, y_max in (first * 4, second * 4):
        grid = np.zeros((400, 400), dtype=bool)
        grid[int(y_min) : int(y_max), int(x_min) : int(x_max)] = True
        covered.append(grid)
    union = (covered[0] | covered[1]).sum()
    return float((covered[0] & covered[1]).sum() / union) if union else 0.0


def ciou_in_float64(first: Floats, second: Floats) -> float:
    """Equations 7 to 11 of Zheng et al. (2020), for boxes with an area."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    iou = shared / union
    centres = [(box[:2] + box[2:]) / 2 for box in (a, b)]
    around = np.maximum(a[2:], b[2:]) - np.minimum(a[:2], b[:2])
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - iou + v) if v else 0.0
    distance = ((centres[0] - centres[1]) ** 2).sum() / (around**2).sum()
    return float(iou - distance - alpha * v)


@given(first=boxes(1, 4), second=boxes(1, 4))
@settings(max_examples=30, deadline=None)
def test_iou_of_all_pairs_is_that_of_counted_pixels(first: Floats, second: Floats) -> None:
    found = pairwise_iou(torch.from_numpy(first), torch.from_numpy(second))
    expected = [[iou_by_counting(one, other) for other in second] for one in first]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@given(first=boxes(1, 8), second=boxes(1, 8))
@settings(max_examples=25, deadline=None)
def test_iou_is_symmetric_bounded_and_one_only_with_itself(first: Floats, second: Floats) -> None:
    one, other = torch.from_numpy(first), torch.from_numpy(second)
    found = pairwise_iou(one, other)
    assert torch.equal(found, pairwise_iou(other, one).T)
    assert ((found >= 0) & (found <= 1)).all()
    own = pairwise_iou(one, one).diagonal()
    assert torch.equal(own, (areas(one) > 0).float())


@given(first=boxes(6, 6, degenerate=False), second=boxes(6, 6, degenerate=False))
@settings(max_examples=40, deadline=None)
def test_complete_iou_is_that_of_the_paper(first: Floats, second: Floats) -> None:
    iou, ciou = iou_and_ciou(torch.from_numpy(first), torch.from_numpy(second))
    expected = [ciou_in_float64(one, other) for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(ciou.numpy(), expected, atol=2e-5)
    pairs = pairwise_iou(torch.from_numpy(first), torch.from_numpy(second)).diagonal()
    torch.testing.assert_close(iou, pairs)
    assert (ciou <= iou + 1e-6).all()
    assert (ciou > -2).all()


def test_complete_iou_of_a_box_with_itself_is_one() -> None:
    box = torch.tensor([[3.0, 4.0, 10.0, 30.0]])
    assert iou_and_ciou(box, box)[1].item() == pytest.approx(1.0, abs=1e-6)


@given(predicted=boxes(8, 8), target=boxes(8, 8))
@settings(max_examples=40, deadline=None)
def test_its_gradient_is_finite_also_where_boxes_have_no_area(
    predicted: Floats, target: Floats
) -> None:
    moving = torch.from_numpy(predicted).requires_grad_()
    _, ciou = iou_and_ciou(moving, torch.from_numpy(target))
    (gradient,) = torch.autograd.grad((1 - ciou).sum(), moving)
    assert torch.isfinite(ciou).all()
    assert torch.isfinite(gradient).all()


def _loss_with_alpha_of(at: Tensor, target: Tensor) -> "torch.Tensor":
    iou, ciou = iou_and_ciou(at, target)
    return (1 - ciou + 0 * iou).sum()


def test_its_gradient_is_that_of_finite_differences_where_shapes_agree() -> None:
    # With equal shapes alpha v is 0 to second order, so that holding alpha changes nothing.
    target = torch.tensor([[0.0, 0.0, 10.0, 20.0]], dtype=torch.float64)
    at = torch.tensor([[3.0, 5.0, 13.0, 25.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda box: _loss_with_alpha_of(box, target), (at,))


def test_boxes_apart_are_drawn_together_though_they_do_not_overlap() -> None:
    predicted = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
    target = torch.tensor([[50.0, 0.0, 60.0, 10.0]])
    _, ciou = iou_and_ciou(predicted, target)
    (gradient,) = torch.autograd.grad(1 - ciou.sum(), predicted)
    assert (gradient[0, [0, 2]].sum() < 0).item()  # falls as the box moves to the right


@given(corners=boxes(0, 8))
@settings(max_examples=30, deadline=None)
def test_centres_and_corners_are_two_ways_to_write_a_box(corners: Floats) -> None:
    given_boxes = torch.from_numpy(corners)
    torch.testing.assert_close(to_corners(to_centres(given_boxes)), given_boxes)


def test_shape_iou_is_the_iou_of_boxes_with_one_centre() -> None:
    sizes = torch.tensor([[4.0, 8.0], [6.0, 6.0], [1.0, 20.0]])
    laid = to_corners(torch.cat([torch.zeros(3, 2), sizes], dim=1))
    torch.testing.assert_close(shape_iou(sizes, sizes), pairwise_iou(laid, laid))
