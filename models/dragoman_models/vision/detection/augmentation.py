"""Random views of training images, by kornia: crops and scales, flips, quarter turns, colours.

Images are not mixed with one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from dragoman_models.vision.detection.boxes import areas
from dragoman_models.vision.detection.letterbox import GREY
from dragoman_models.vision.results import RgbImage

if TYPE_CHECKING:
    from kornia.augmentation import AugmentationSequential


class AugmentationOptions(BaseModel):
    """How much a view may differ from its image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest_zoom: float = Field(default=0.8, gt=0, le=4, description="beside the size when used")
    largest_zoom: float = Field(default=1.3, gt=0, le=4)
    flip_horizontally: bool = True
    flip_vertically: bool = Field(default=True, description="where nothing has an upper side")
    quarter_turns: bool = Field(default=True, description="likewise")
    brightness: float = Field(default=0.15, ge=0, lt=1)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    saturation: float = Field(default=0.2, ge=0, lt=1)
    tint: float = Field(default=0.03, ge=0, lt=1, description="added to each colour by itself")
    least_visible: float = Field(
        default=0.3, ge=0, le=1, description="share of a box inside the view, or it is left out"
    )


@dataclass(frozen=True, kw_only=True)
class View:
    """What the network is taught with: pixels (3, S, S) from 0 to 1, corners (N, 4), classes."""

    pixels: Tensor
    boxes: Tensor
    classes: Tensor


def random_view(
    image: RgbImage,
    boxes: NDArray[np.float64],
    classes: NDArray[np.int64],
    *,
    size: int,
    options: AugmentationOptions,
    seed: int,
) -> View:
    """A square view of side `size`; the same seed gives the same view.

    Args:
        image: (H, W, 3), at the scale that the network is used at. boxes: (N, 4) corners in its
            pixels. classes: (N,).
    """
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
    corners = torch.from_numpy(boxes).float()
    widest = round(size / options.smallest_zoom)
    height, width = image.shape[:2]
    left, top = (max(0, widest - side) // 2 for side in (width, height))
    right, bottom = max(0, widest - width) - left, max(0, widest - height) - top
    pixels = F.pad(pixels, (left, right, top, bottom), value=GREY / 255)
    corners = corners + torch.tensor([left, top, left, top])
    augment = _augmenter(size, *pixels.shape[2:], options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if len(corners):
            viewed, moved = augment(pixels, corners[None])
            moved = moved[0]
        else:
            viewed = augment(pixels, data_keys=["input"])
            moved = corners
    inside = moved.clamp(0, size)
    visible = areas(inside) / areas(moved).clamp(min=1e-6)
    kept = (visible >= options.least_visible) & (areas(inside) > 1)
    return View(pixels=viewed[0], boxes=inside[kept], classes=torch.from_numpy(classes)[kept])


@lru_cache(maxsize=64)
def _augmenter(
    size: int, height: int, width: int, options: AugmentationOptions
) -> AugmentationSequential:
    """The pipeline for padded images of one size; it draws from torch's own generator."""
    import kornia.augmentation as kornia

    def share(zoom: float) -> float:  # of the padded image, that a square crop takes
        return min(1.0, (size / zoom) ** 2 / (height * width))

    return kornia.AugmentationSequential(
        kornia.RandomResizedCrop(
            (size, size),
            scale=(share(options.largest_zoom), share(options.smallest_zoom)),
            ratio=(1.0, 1.0),
        ),
        kornia.RandomHorizontalFlip(p=0.5 if options.flip_horizontally else 0.0),
        kornia.RandomVerticalFlip(p=0.5 if options.flip_vertically else 0.0),
        kornia.RandomRotation90(times=(0, 3), p=1.0 if options.quarter_turns else 0.0),
        kornia.RandomBrightness((1 - options.brightness, 1 + options.brightness), p=0.8),
        kornia.RandomContrast((1 - options.contrast, 1 + options.contrast), p=0.8),
        kornia.RandomSaturation((1 - options.saturation, 1 + options.saturation), p=0.8),
        kornia.RandomRGBShift(options.tint, options.tint, options.tint, p=0.8),
        data_keys=["input", "bbox_xyxy"],
    )
