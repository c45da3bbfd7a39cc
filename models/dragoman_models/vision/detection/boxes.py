"""Geometry of boxes: corners and centres, intersection over union, complete IoU.

Boxes are rows of (x_min, y_min, x_max, y_max), or of (x, y, width, height) with the centre first,
in one unit, x to the right and y down. Nothing here divides by zero: a box without an area has an
intersection over union of 0 with every other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TINY = 1e-7  # square pixels; far below the area of any box that can be seen


def to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) of centre and size to (..., 4) of corners."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def to_centres(boxes: Tensor) -> Tensor:
    """(..., 4) of corners to (..., 4) of centre and size."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def areas(boxes: Tensor) -> Tensor:
    """(..., 4) of corners to (...); boxes inside out have none."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of all pairs: (N, 4) and (M, 4) of corners to (N, M), 0 to 1."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])  # (N, M, 2)
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)  # (N, M)
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    return shared / union.clamp(min=_TINY)


def shape_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of all pairs laid upon one centre: sizes (N, 2) and (M, 2) to (N, M)."""
    shared = torch.minimum(first[:, None], second[None]).prod(dim=-1)
    union = first.prod(dim=-1)[:, None] + second.prod(dim=-1)[None] - shared
    return shared / union.clamp(min=_TINY)


def iou_and_ciou(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and complete IoU, row by row: (N, 4) and (N, 4) of corners to (N,) and (N,).

    CIoU = IoU - d^2 / c^2 - alpha v (Zheng et al. 2020, equations 7 to 11): d is the distance of
    the centres, c the diagonal of the smallest box around both, v = 4 / pi^2 times the square of
    the difference of arctan(width / height), and alpha = v / (1 - IoU + v), which is held constant
    in the gradient. It lies in (-2, 1]. The gradient is finite for every pair of finite boxes.
    """
    low = torch.maximum(predicted[:, :2], target[:, :2])
    high = torch.minimum(predicted[:, 2:], target[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)  # (N,)
    iou = shared / (areas(predicted) + areas(target) - shared).clamp(min=_TINY)
    around_low = torch.minimum(predicted[:, :2], target[:, :2])
    around_high = torch.maximum(predicted[:, 2:], target[:, 2:])
    diagonal = (around_high - around_low).square().sum(dim=-1).clamp(min=_TINY)
    first, second = to_centres(predicted), to_centres(target)
    distance = (first[:, :2] - second[:, :2]).square().sum(dim=-1)
    slope = _angle(first) - _angle(second)
    shape = 4 / math.pi**2 * slope.square()
    with torch.no_grad():
        alpha = shape / (1 - iou + shape).clamp(min=_TINY)
    return iou, iou - distance / diagonal - alpha * shape


def _angle(boxes: Tensor) -> Tensor:
    """arctan(width / height) of (N, 4) of centre and size."""
    size = boxes[:, 2:].clamp(min=1e-4)
    return torch.atan(size[:, 0] / size[:, 1])
