"""Labelled images of a detection data set, and what of it had to be left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """One image's objects; its pixels are read when they are wanted.

    boxes: (N, 4), corners in pixels, 0 to width and height. classes: (N,), indices of labels.
    """

    name: str
    width: int
    height: int
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """What was left out, an image or one of its objects, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"
