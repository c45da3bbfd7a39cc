"""An image embedder that answers: vectors of images, and whether two are of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dragoman_models.vision.results import RgbImage
from dragoman_models.vision.verification.image_preparation import prepare
from dragoman_models.vision.verification.network import EmbeddingNetwork, embedded


class ImageEmbedder:
    """Turns images into vectors of length 1, near to each other where the class is the same."""

    def __init__(self, network: EmbeddingNetwork, *, threshold: float) -> None:
        """`threshold` is the distance within which two images are taken for one class.

        Raises ValueError where it is not from 0 to 2, or a weight is not finite.
        """
        if not 0 <= threshold <= 2:
            raise ValueError(f"threshold is {threshold}; it must be from 0 to 2")
        for name, weight in network.state_dict().items():
            if not torch.isfinite(weight).all():
                raise ValueError(f"the weights {name} are not all finite")
        self.network = network.eval().requires_grad_(False)
        self.threshold = threshold

    @property
    def dimensions(self) -> int:
        """D, the length of an embedding."""
        return self.network.config.dimensions

    def embed(self, images: Sequence[RgbImage]) -> NDArray[np.float32]:
        """The vectors of images of any size, (len(images), D), each of length 1."""
        if not images:
            return np.empty((0, self.dimensions), np.float32)
        config = self.network.config
        size, color, framing = config.image_size, config.color, config.framing
        pixels = [prepare(image, size=size, color=color, framing=framing) for image in images]
        return embedded(self.network, np.stack(pixels))

    def distance(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """The Euclidean distance of two vectors (D,) of `embed`, from 0 to 2."""
        return float(np.linalg.norm(first.astype(np.float64) - second.astype(np.float64)))
