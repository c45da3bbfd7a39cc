"""From an image of any size to the square of pixels that an embedding network reads."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dragoman_models.vision.results import RgbImage

ColorMode = Literal["grey", "rgb"]


def channels_of(color: ColorMode) -> int:
    """1 for grey, 3 for red, green and blue."""
    return 1 if color == "grey" else 3


def prepare(image: RgbImage, *, size: int, color: ColorMode) -> NDArray[np.uint8]:
    """The image as (C, size, size): padded to a square, then reduced or enlarged.

    What is added is of the colour that is usual on the image's border, the median of each channel,
    so that a drawing stays on its paper. Each pixel of a reduced image is the mean of those that it
    covers (a box filter); enlarging is bilinear.

    Args:
        image: (H, W, 3), from 1 x 1.
    """
    height, width, _ = image.shape
    side = max(height, width)
    picture = Image.fromarray(image)
    if height != width:
        fill = tuple(int(value) for value in _border_median(image))
        square = Image.new("RGB", (side, side), fill)
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
        picture = square
    if color == "grey":
        picture = picture.convert("L")
    if side != size:
        kind = Image.Resampling.BOX if side > size else Image.Resampling.BILINEAR
        picture = picture.resize((size, size), kind)
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if color == "grey" else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _border_median(image: RgbImage) -> NDArray[np.float64]:
    """(3,): the median of each channel over the outermost pixels."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    medians: NDArray[np.float64] = np.median(np.concatenate(edges), axis=0)
    return medians
