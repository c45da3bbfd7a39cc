"""Images as they might also have been drawn or taken: moved, turned, sheared, bent, flipped, lit.

All images of a batch are changed at once, by torch's `grid_sample`; chance comes from the generator
that is passed in, so that a resumed training draws what it would have drawn.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor


class Augmentation(BaseModel):
    """How far images are changed; each is drawn evenly from -value to value, but for `bend`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: float = Field(default=15.0, ge=0, le=180, description="degrees")
    shear: float = Field(default=0.2, ge=0, le=1, description="of x by y")
    scale: float = Field(default=0.2, ge=0, lt=1, description="of each axis by itself, a share")
    shift: float = Field(default=0.1, ge=0, le=1, description="of each axis, in image sizes")
    bend: float = Field(
        default=0.03, ge=0, le=1, description="standard deviation of 5 x 5 points, in image sizes"
    )
    flip: bool = Field(default=False, description="every second image, left to right")
    brightness: float = Field(default=0.0, ge=0, le=1, description="added")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="share by which it changes")


_BEND_POINTS = 5


def augment(
    images: Tensor, how: Augmentation, chance: Generator, *, alike: int = 1, smaller: float = 1.0
) -> Tensor:
    """The images changed, each in its own way; or each `alike` that follow each other in one way,
    so that a class whose images they are becomes another class.

    Where an image is moved away, the colour that is usual on its border comes in.

    Args:
        images: (B, C, S, S), from 0 to 1; B a multiple of `alike`.
        smaller: what is shown becomes smaller by this factor, so that less of it is moved out.
    """
    ways = len(images) // alike
    affine = _affine(ways, how, chance).repeat_interleave(alike, dim=0) * smaller  # (B, 2, 3)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)  # (B, S, S, 2)
    grid = grid + _bend(ways, images.shape[-1], how, chance).repeat_interleave(alike, dim=0)
    paper = border_median(images)  # (B, C, 1, 1)
    moved = F.grid_sample(images - paper, grid, padding_mode="zeros", align_corners=False) + paper
    if how.brightness or how.contrast:
        moved = _relight(moved, ways, alike, how, chance)
    return moved


def _affine(count: int, how: Augmentation, chance: Generator) -> Tensor:
    """(B, 2, 3): from places in the new image to places in the old, both from -1 to 1."""
    draws = torch.rand(count, 6, generator=chance) * 2 - 1
    turn = draws[:, 0] * math.radians(how.rotation)
    shear = draws[:, 1] * how.shear
    wide, high = 1 + draws[:, 2] * how.scale, 1 + draws[:, 3] * how.scale
    if how.flip:
        wide = torch.where(torch.rand(count, generator=chance) < 0.5, -wide, wide)
    move = draws[:, 4:] * how.shift * 2  # sizes are 2 in these coordinates
    cosine, sine = turn.cos(), turn.sin()
    rows = [
        torch.stack([wide * cosine, wide * (shear * cosine - sine), move[:, 0]], dim=1),
        torch.stack([high * sine, high * (shear * sine + cosine), move[:, 1]], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _bend(count: int, size: int, how: Augmentation, chance: Generator) -> Tensor:
    """(count, size, size, 2): a smooth displacement of each pixel."""
    shape = (count, 2, _BEND_POINTS, _BEND_POINTS)
    points = torch.randn(shape, generator=chance) * how.bend * 2
    smooth = F.interpolate(points, size=(size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def _relight(images: Tensor, ways: int, alike: int, how: Augmentation, chance: Generator) -> Tensor:
    draws = torch.rand(ways, 2, 1, 1, 1, generator=chance) * 2 - 1
    draws = draws.repeat_interleave(alike, dim=0)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1 + draws[:, 0] * how.contrast
    return (mean + (images - mean) * contrast + draws[:, 1] * how.brightness).clamp(0, 1)


def border_median(images: Tensor) -> Tensor:
    """(B, C, 1, 1): the colour that is usual on the outermost pixels of (B, C, S, S)."""
    edges = (images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1])
    return torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]
