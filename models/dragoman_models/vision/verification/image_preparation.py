"""From an image of any size to the square of pixels that an embedding network reads."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dragoman_models.vision.results import RgbImage

ColorMode = Literal["grey", "rgb"]
Framing = Literal["whole", "ink"]

INK_CONTRAST = 64  # of 255, to the border's colour
INK_MARGIN = 1 / 12  # of the prepared image, on each side


def channels_of(color: ColorMode) -> int:
    """1 for grey, 3 for red, green and blue."""
    return 1 if color == "grey" else 3


def prepare(
    image: RgbImage, *, size: int, color: ColorMode, framing: Framing = "whole"
) -> NDArray[np.uint8]:
    """The image as (C, size, size): its longer side becomes `size`, the shorter is filled up.

    With the framing "ink", only the rectangle is taken that holds all that stands out from the
    border's colour, with a margin: a drawing is then of one size wherever it stood. What fills is
    of the colour that is usual on the image's border, the median of each channel, so that a drawing
    stays on its paper. Reducing weighs all pixels that fall onto a new one (Pillow's Hamming
    filter); enlarging is bilinear.

    Args:
        image: (H, W, 3), from 1 x 1.
    """
    paper = _border_median(image)
    within = size
    if framing == "ink":
        image = _inked_part(image, paper)
        within = size - 2 * round(size * INK_MARGIN)
    height, width, _ = image.shape
    side = max(height, width)
    own_size = (max(1, round(width * within / side)), max(1, round(height * within / side)))
    kind = Image.Resampling.HAMMING if side > within else Image.Resampling.BILINEAR
    picture = Image.fromarray(image)
    if own_size != picture.size:
        picture = picture.resize(own_size, kind)
    if own_size != (size, size):
        red, green, blue = (round(value) for value in paper.tolist())
        square = Image.new("RGB", (size, size), (red, green, blue))
        square.paste(picture, ((size - own_size[0]) // 2, (size - own_size[1]) // 2))
        picture = square
    pixels = np.asarray(picture.convert("L") if color == "grey" else picture, dtype=np.uint8)
    return pixels[None] if color == "grey" else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _inked_part(image: RgbImage, paper: NDArray[np.float64]) -> RgbImage:
    """The rectangle of all that stands out from the paper; the whole image where nothing does."""
    ink = np.abs(image.astype(np.int16) - paper.astype(np.int16)).max(axis=2) >= INK_CONTRAST
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return image
    part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(part)


def _border_median(image: RgbImage) -> NDArray[np.float64]:
    """(3,): the median of each channel over the outermost pixels."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    medians: NDArray[np.float64] = np.median(np.concatenate(edges), axis=0)
    return medians
