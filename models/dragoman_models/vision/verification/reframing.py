"""Frames what is drawn anew, after the image was changed at random: as `prepare` frames ink.

A network that reads ink at one size would otherwise learn from drawings of many sizes and places,
and lose those that were moved out of the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dragoman_models.vision.verification.augmentation import border_median
from dragoman_models.vision.verification.image_preparation import INK_CONTRAST, INK_MARGIN

_FINE = 2  # pixels drawn for one that is kept, each way


def reframed(images: Tensor, size: int) -> Tensor:
    """The rectangle of all that stands out from the paper, with the margin, at this size.

    Args:
        images: (B, C, S, S), from 0 to 1. An image without ink is taken whole.

    Returns:
        (B, C, size, size)
    """
    paper = border_median(images)
    least, most = _inked_rectangle((images - paper).abs())  # (B, 2) each, x and y from -1 to 1
    within = size - 2 * round(size * INK_MARGIN)
    half = (most - least).amax(dim=1) / 2 * size / within  # (B,)
    affine = torch.zeros(len(images), 2, 3)
    affine[:, 0, 0] = affine[:, 1, 1] = half
    affine[:, :, 2] = (least + most) / 2
    shape = [len(images), images.shape[1], size * _FINE, size * _FINE]
    grid = F.affine_grid(affine, shape, align_corners=False)
    fine = F.grid_sample(images - paper, grid, padding_mode="zeros", align_corners=False) + paper
    return F.avg_pool2d(fine, _FINE)


def _inked_rectangle(contrast: Tensor) -> tuple[Tensor, Tensor]:
    """The edges of the ink, least and most (x, y) of each image (B, C, S, S)."""
    ink = contrast.amax(dim=1) >= INK_CONTRAST / 255  # (B, S, S)
    side = contrast.shape[-1]
    edges = []
    for along in (1, 2):  # over rows leaves x, over columns leaves y
        has = ink.any(dim=along).int()  # (B, S)
        first = has.argmax(dim=1)
        after = torch.where(has.any(dim=1), side - has.flip(1).argmax(dim=1), side)
        edges.append((first * 2 / side - 1, after * 2 / side - 1))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top], dim=1), torch.stack([right, bottom], dim=1)
