"""Images of any size on the canvas that the network sees, and boxes back in the image's pixels.

An image is scaled until its longer side is the network's input size, keeps its shape, lies in the
upper left corner, and is filled up with grey to multiples of the largest stride.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dragoman_models.vision.detection.config import LARGEST_STRIDE
from dragoman_models.vision.results import RgbImage

GREY = 127  # 0 once it is standardised
SPREAD = 128.0  # as EfficientNet-Lite was trained: (value - 127) / 128


@dataclass(frozen=True, kw_only=True)
class Letterbox:
    """How an image lies on its canvas; all in pixels."""

    width: int  # of the image
    height: int
    scaled_width: int
    scaled_height: int
    canvas_width: int
    canvas_height: int

    def to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Corners (N, 4) on the canvas as corners in the image, clipped to it."""
        across = self.width / self.scaled_width
        down = self.height / self.scaled_height
        factors = np.array([across, down, across, down], dtype=np.float32)
        edges = np.array([self.width, self.height] * 2, dtype=np.float32)
        moved: NDArray[np.float32] = np.clip(boxes * factors, 0, edges)
        return moved


def letterbox_of(image: RgbImage, input_size: int) -> Letterbox:
    """Where an image (H, W, 3) of any size goes."""
    height, width = image.shape[:2]
    scale = input_size / max(width, height)
    scaled_width, scaled_height = (max(1, round(side * scale)) for side in (width, height))
    canvas_width, canvas_height = (
        -(-side // LARGEST_STRIDE) * LARGEST_STRIDE for side in (scaled_width, scaled_height)
    )
    return Letterbox(
        width=width, height=height, scaled_width=scaled_width, scaled_height=scaled_height,
        canvas_width=canvas_width, canvas_height=canvas_height,
    )  # fmt: skip


def scaled(image: RgbImage, box: Letterbox) -> RgbImage:
    """The image at its size on the canvas, (scaled_height, scaled_width, 3)."""
    if (box.scaled_width, box.scaled_height) == (box.width, box.height):
        return image
    size = (box.scaled_width, box.scaled_height)
    # Averages what becomes one pixel, so that a large image leaves no patterns.
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def on_canvas(image: RgbImage, box: Letterbox) -> RgbImage:
    """The scaled image with grey around it, (canvas_height, canvas_width, 3)."""
    canvas = np.full((box.canvas_height, box.canvas_width, 3), GREY, dtype=np.uint8)
    canvas[: box.scaled_height, : box.scaled_width] = scaled(image, box)
    return canvas


def standardised(canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Canvases (B, H, W, 3) as the network takes them: (B, 3, H, W), about -1 to 1."""
    values = (canvases.astype(np.float32) - GREY) / SPREAD
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
