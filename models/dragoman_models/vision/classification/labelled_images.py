"""Images with their classes, in memory, as a training from scratch reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """N images of one size, and the class of each."""

    pixels: NDArray[np.uint8]  # (N, height, width, channels)
    classes: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.pixels)

    def taken(self, rows: NDArray[np.int64]) -> LabelledImages:
        """Those of these rows, in this order."""
        return LabelledImages(pixels=self.pixels[rows], classes=self.classes[rows])


def held_out(
    images: LabelledImages, count: int, seed: int
) -> tuple[LabelledImages, LabelledImages]:
    """The images without `count` of them drawn by `seed`, and these.

    Raises:
        TrainingError: nothing would be left to learn from.
    """
    if not 0 < count < len(images):
        raise TrainingError(
            f"valid_count {count:,} of {len(images):,} images leaves one side empty"
        )
    order = np.random.default_rng([seed, len(images)]).permutation(len(images))
    return images.taken(np.sort(order[count:])), images.taken(np.sort(order[:count]))
