"""Kernels that answer to edges, and what they see in an image."""

from __future__ import annotations

import numpy as np

from dragoman_models.vision.first_principles.activations import Floats
from dragoman_models.vision.first_principles.convolution import convolve

_SIGNS = np.array([1.0, 0.0, -1.0])

# Each answers to vertical edges, light on the left: a difference along x, smoothed along y.
VERTICAL_EDGES: dict[str, Floats] = {
    "Prewitt": np.outer([1.0, 1.0, 1.0], _SIGNS),
    "Sobel": np.outer([1.0, 2.0, 1.0], _SIGNS),
    "Scharr": np.outer([3.0, 10.0, 3.0], _SIGNS),
}


def edges(image: Floats, kernel: Floats) -> tuple[Floats, Floats, Floats]:
    """What a kernel of `VERTICAL_EDGES` sees in an image (H, W), each (H - 2, W - 2).

    Returns:
        vertical edges, horizontal edges (by the kernel on its side), and the length of both
        together, which answers to edges in any direction.
    """
    kernels = np.stack([kernel, kernel.T])[:, np.newaxis]  # (2, 1, 3, 3)
    seen = convolve(image[np.newaxis, np.newaxis], kernels, np.zeros(2))[0]
    return seen[0], seen[1], np.hypot(seen[0], seen[1])
