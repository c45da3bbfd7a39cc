"""Random changes of training images: shifted, mirrored, with a rectangle erased."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

_ERASED_AREA = (0.02, 0.25)  # of the image
_ERASED_ASPECT = (0.3, 3.3)  # height / width


class AugmentationOptions(BaseModel):
    """How much training images are changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: int = Field(default=2, ge=0, description="most pixels in each direction")
    mirror: bool = Field(default=True, description="half of the images, left for right")
    erase_share: float = Field(
        default=0.5, ge=0, le=1, description="of images that lose a rectangle (Zhong et al. 2020)"
    )


def augmented(
    images: Tensor, options: AugmentationOptions, fill: Tensor, chance: torch.Generator
) -> Tensor:
    """Each image changed in its own way.

    Args:
        images: (B, H, W, C) of bytes.
        fill: (C,) of bytes, for what is erased.

    Returns:
        (B, H, W, C) of bytes; what is shifted in from outside is 0.
    """
    count, height, width, _ = images.shape
    shift = options.shift
    padded = F.pad(images, (0, 0, shift, shift, shift, shift))  # (B, H + 2 shift, W + 2 shift, C)
    tops = torch.randint(2 * shift + 1, (count, 1), generator=chance)
    lefts = torch.randint(2 * shift + 1, (count, 1), generator=chance)
    rows = tops + torch.arange(height)  # (B, H)
    columns = lefts + torch.arange(width)  # (B, W)
    if options.mirror:
        mirrored = torch.rand((count, 1), generator=chance) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    which = torch.arange(count)[:, None, None]
    changed = padded[which, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    if options.erase_share:
        erased = _erased_places(count, height, width, options.erase_share, chance)
        changed = torch.where(erased.unsqueeze(3), fill, changed)
    return changed


def _erased_places(
    count: int, height: int, width: int, share: float, chance: torch.Generator
) -> Tensor:
    """(B, H, W), true in a rectangle of some images."""
    area = _uniform(count, *_ERASED_AREA, chance) * height * width
    least, most = map(math.log, _ERASED_ASPECT)
    aspect = _uniform(count, least, most, chance).exp()
    heights = (area * aspect).sqrt().round().clamp(1, height)
    widths = (area / aspect).sqrt().round().clamp(1, width)
    heights *= torch.rand(count, generator=chance) < share
    tops = (torch.rand(count, generator=chance) * (height - heights + 1)).floor()
    lefts = (torch.rand(count, generator=chance) * (width - widths + 1)).floor()
    rows = _between(torch.arange(height), tops, heights)  # (B, H)
    columns = _between(torch.arange(width), lefts, widths)  # (B, W)
    return rows.unsqueeze(2) & columns.unsqueeze(1)


def _between(places: Tensor, begin: Tensor, length: Tensor) -> Tensor:
    return (places >= begin.unsqueeze(1)) & (places < (begin + length).unsqueeze(1))


def _uniform(count: int, low: float, high: float, chance: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=chance)
