"""The triplet loss, with the two ways of choosing triplets that train well.

A triplet is an anchor a, a positive p of the same class and a negative n of another. With d the
distance of unit vectors and m the margin, its loss is (Schroff et al. 2015, equation 2)

    max(0, m + d(a, p) - d(a, n))

Of the many triplets of a batch, most have no loss and teach nothing. Semi-hard mining (Schroff et
al. 2015, section 3.2) takes for each pair (a, p) a negative that is farther than p, but hardly;
batch-hard mining (Hermans et al. 2017, equation 5) takes for each anchor the farthest positive and
the nearest negative.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Mining = Literal["semi_hard", "batch_hard"]
Distance = Literal["squared", "euclidean"]

_NO_ROOT_BELOW = 1e-8  # the slope of a root at 0 is infinite


def pairwise_distances(vectors: Tensor, kind: Distance) -> Tensor:
    """Distances of all pairs of unit vectors: |a - b|^2 = 2 - 2 a.b.

    Args:
        vectors: (B, D), each of length 1.

    Returns:
        (B, B), from 0 to 4 (squared) or 2 (Euclidean).
    """
    products = vectors @ vectors.T  # (B, D) @ (D, B) -> (B, B)
    squared = (2 - 2 * products).clamp(min=0)
    if kind == "squared":
        return squared
    return squared.clamp(min=_NO_ROOT_BELOW).sqrt()


def triplet_loss(
    vectors: Tensor, classes: Tensor, *, mining: Mining, margin: float, distance: Distance
) -> Tensor:
    """The mean loss of the mined triplets, a scalar; 0 where the batch makes no triplet.

    Args:
        vectors: (B, D), each of length 1.
        classes: (B,), whole numbers.
    """
    distances = pairwise_distances(vectors, distance)
    mined = batch_hard_losses if mining == "batch_hard" else semi_hard_losses
    losses = mined(distances, classes, margin)
    return losses.mean() if len(losses) else distances.sum() * 0


def batch_hard_losses(distances: Tensor, classes: Tensor, margin: float) -> Tensor:
    """The loss of each anchor that has a positive and a negative, (A,): with its farthest positive
    and its nearest negative.

    Args:
        distances: (B, B).
        classes: (B,).
    """
    positive, negative = _pairs(classes)
    farthest = distances.masked_fill(~positive, -torch.inf).amax(dim=1)  # (B,)
    nearest = distances.masked_fill(~negative, torch.inf).amin(dim=1)  # (B,)
    complete = positive.any(dim=1) & negative.any(dim=1)
    return (margin + farthest - nearest)[complete].clamp(min=0)


def semi_hard_losses(distances: Tensor, classes: Tensor, margin: float) -> Tensor:
    """The loss of each pair (a, p) whose anchor has a negative, (pairs,): with the nearest of the
    negatives that are farther than p; where none is, with the farthest of all, which comes nearest
    to being semi-hard.

    Args:
        distances: (B, B).
        classes: (B,).
    """
    positive, negative = _pairs(classes)
    anchors, others = (positive & negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    to_positive = distances[anchors, others]  # (pairs,)
    to_all, is_negative = distances[anchors], negative[anchors]  # (pairs, B) each
    farther = is_negative & (to_all > to_positive.unsqueeze(1))
    nearest = to_all.masked_fill(~farther, torch.inf).amin(dim=1)
    farthest = to_all.masked_fill(~is_negative, -torch.inf).amax(dim=1)
    to_negative = torch.where(farther.any(dim=1), nearest, farthest)
    return (margin + to_positive - to_negative).clamp(min=0)


def _pairs(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs are of one class, without an image and itself, and which of two; (B, B) each."""
    same = classes.unsqueeze(0) == classes.unsqueeze(1)
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    return same & ~itself, ~same
