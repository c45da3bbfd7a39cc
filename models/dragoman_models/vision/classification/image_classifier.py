"""A loaded image classifier: images to the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.classification.preparation import Floats, ImagePreparation
from dragoman_models.vision.results import ClassProbability, RgbImage

_LARGEST_BATCH = 64  # bounds the memory; larger ones are no faster


class ImageNetwork(Protocol):
    """What turns standardized images into logits."""

    def logits(self, images: Floats) -> Floats:
        """(N, channels, height, width), N from 1 -> (N, classes)."""
        ...


class ImageClassifier:
    """A network with its labels and what it wants of images."""

    def __init__(
        self,
        network: ImageNetwork,
        *,
        labels: Sequence[str],
        preparation: ImagePreparation,
        mirror_average: bool = False,
    ) -> None:
        """mirror_average: answer the mean over the image and its mirror image."""
        self.network = network
        self.labels = tuple(labels)
        self.preparation = preparation
        self.mirror_average = mirror_average

    def classify(
        self, images: Sequence[RgbImage], *, top_k: int = 5
    ) -> list[list[ClassProbability]]:
        """The `top_k` likeliest classes of each image, likeliest first; all, if there are fewer.

        Classes that are equally likely come in the order of the labels.

        Raises:
            InvalidInputError: top_k below 1, or an image that is none.
        """
        if top_k < 1:
            raise InvalidInputError.single("top_k", f"is {top_k}; it must be 1 or more")
        return [self._likeliest(row, top_k) for row in self.probabilities(images)]

    def probabilities(self, images: Sequence[RgbImage]) -> NDArray[np.float64]:
        """(N, classes), each row of sum 1; raises `InvalidInputError` for what is no image."""
        parts = [np.empty((0, len(self.labels)))]
        for begin in range(0, len(images), _LARGEST_BATCH):
            batch = self.preparation.prepared(images[begin : begin + _LARGEST_BATCH])
            part = softmax(self.network.logits(batch))
            if self.mirror_average:
                mirrored = np.ascontiguousarray(batch[:, :, :, ::-1])
                part = (part + softmax(self.network.logits(mirrored))) / 2
            parts.append(part)
        return np.concatenate(parts)

    def _likeliest(self, probabilities: NDArray[np.float64], count: int) -> list[ClassProbability]:
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [
            ClassProbability(
                class_id=int(row), label=self.labels[row], probability=float(probabilities[row])
            )
            for row in order
        ]


def softmax(logits: Floats) -> NDArray[np.float64]:
    """(N, classes) -> probabilities (N, classes), in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
