"""Mean and spread of the pixels, by which images are standardized before a network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PixelStatistics:
    """Mean and standard deviation of each channel, in shares of the largest value (255)."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def standardized(self, images: Tensor) -> Tensor:
        """(B, H, W, C) of bytes -> (B, C, H, W) of float32, in the memory order of the former."""
        mean = torch.tensor(self.mean) * 255
        scale = 1 / (torch.tensor(self.deviation) * 255)
        return ((images.float() - mean) * scale).permute(0, 3, 1, 2)


def pixel_statistics(pixels: NDArray[np.uint8]) -> PixelStatistics:
    """Of images (N, H, W, C), from how often each value occurs; a channel that never changes is
    left at its size."""
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(pixels.shape[-1]):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(round(mean, 6))
        deviations.append(round(variance**0.5, 6) or 1.0)
    return PixelStatistics(mean=tuple(means), deviation=tuple(deviations))
