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
    """The image as (C, size, size): its longer side becomes `size`, the shorter is filled up.

    What fills is of the colour that is usual on the image's border, the median of each channel, so
    that a drawing stays on its paper. Reducing weighs all pixels that fall onto a new one (Pillow's
    Hamming filter); enlarging is bilinear.

    Args:
        image: (H, W, 3), from 1 x 1.
    """
    height, width, _ = image.shape
    side = max(height, width)
    own_size = (max(1, round(width * size / side)), max(1, round(height * size / side)))
    kind = Image.Resampling.HAMMING if side > size else Image.Resampling.BILINEAR
    picture = Image.fromarray(image)
    if own_size != picture.size:
        picture = picture.resize(own_size, kind)
    if own_size != (size, size):
        red, green, blue = (round(value) for value in _border_median(image).tolist())
        square = Image.new("RGB", (size, size), (red, green, blue))
        square.paste(picture, ((size - own_size[0]) // 2, (size - own_size[1]) // 2))
        picture = square
    pixels = np.asarray(picture.convert("L") if color == "grey" else picture, dtype=np.uint8)
    return pixels[None] if color == "grey" else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _border_median(image: RgbImage) -> NDArray[np.float64]:
    """(3,): the median of each channel over the outermost pixels."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    medians: NDArray[np.float64] = np.median(np.concatenate(edges), axis=0)
    return medians
