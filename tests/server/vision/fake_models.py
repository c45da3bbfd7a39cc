"""Small models of images in the shape that all agree on, whose answers follow from the pixels."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dragoman_models.bundle import Bundle, write_bundle
from dragoman_models.vision.image_decoding import ImageLimits
from dragoman_models.vision.results import (
    Box,
    ClassProbability,
    DetectedObject,
    DetectionOptions,
    RgbImage,
)
from dragoman_server.encoded_images import over_encoded_images

LABELS = ("red", "green", "blue")
THRESHOLD = 0.25
DEADLY = 4_321  # an image of this width ends the process that looks at it
LIMITS = ImageLimits(most_bytes=200_000, most_pixels=100_000)


class _Held:
    """Can be held, and keeps how many images each of its calls had."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.looking = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def look(self, images: Sequence[RgbImage]) -> None:
        self.calls.append(len(images))
        if any(image.shape[1] == DEADLY for image in images):
            os._exit(1)
        self.looking.set()
        self.may_go_on.wait()


class ColourClassifier(_Held):
    """The share of each primary colour in all of the light."""

    labels = LABELS

    def classify(
        self, images: Sequence[RgbImage], *, top_k: int = 5
    ) -> list[list[ClassProbability]]:
        self.look(images)
        return [self._classes(image)[:top_k] for image in images]

    def _classes(self, image: RgbImage) -> list[ClassProbability]:
        light = image.reshape(-1, 3).sum(axis=0) + 1.0
        shares = light / light.sum()
        order = np.argsort(-shares, kind="stable")
        return [
            ClassProbability(class_id=int(i), label=LABELS[i], probability=float(shares[i]))
            for i in order
        ]


class SpotDetector(_Held):
    """One box around all pixels that are not white; its score is the share of them in it."""

    labels = ("spot",)

    def __init__(self) -> None:
        super().__init__()
        self.options: list[DetectionOptions] = []

    def detect(
        self, images: Sequence[RgbImage], options: DetectionOptions
    ) -> list[list[DetectedObject]]:
        self.look(images)
        self.options.append(options)
        return [self._spots(image) for image in images]

    def _spots(self, image: RgbImage) -> list[DetectedObject]:
        rows, columns = np.nonzero((image < 255).any(axis=2))
        if not len(rows):
            return []
        box = Box(
            x_min=float(columns.min()), y_min=float(rows.min()),
            x_max=float(columns.max()) + 1, y_max=float(rows.max()) + 1,
        )  # fmt: skip
        area = (box.x_max - box.x_min) * (box.y_max - box.y_min)
        return [DetectedObject(box=box, class_id=0, label="spot", score=float(len(rows) / area))]


class ColourEmbedder(_Held):
    """The mean colour as a vector of length 1."""

    dimensions = 4
    threshold = THRESHOLD

    def embed(self, images: Sequence[RgbImage]) -> NDArray[np.float32]:
        self.look(images)
        return np.stack([self.vector(image) for image in images])  # (images, 4)

    @staticmethod
    def vector(image: RgbImage) -> NDArray[np.float32]:
        values = np.append(image.reshape(-1, 3).mean(axis=0), 1.0)
        return np.asarray(values / np.linalg.norm(values), dtype=np.float32)

    def distance(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        return float(np.linalg.norm(first.astype(np.float64) - second))


MODELS: dict[str, Any] = {
    "image_classifier": ColourClassifier,
    "object_detector": SpotDetector,
    "image_embedder": ColourEmbedder,
}


def load_fake(bundle: Bundle) -> object:
    """The fake of the bundle's family; any other model as it is loaded."""
    if bundle.family not in MODELS:
        from dragoman_models.registry import load_model

        return load_model(bundle)
    if bundle.numpy_tensors()["weight"].shape != (2, 3):
        raise ValueError("the weights did not arrive")
    return over_encoded_images(MODELS[bundle.family](), bundle.family, LIMITS)


def write_fake(folder: Path, family: str) -> None:
    """A bundle of the family, for `load_fake`."""
    write_bundle(
        folder,
        config={"family": family, "labels": list(LABELS), "description": "A fake."},
        tensors={"weight": np.arange(6, dtype=np.int64).reshape(2, 3)},
        files={},
        metrics={},
        card="# Fake\n",
    )


def image_of(*colour: int, width: int = 12, height: int = 8) -> RgbImage:
    """One colour everywhere."""
    return np.full((height, width, 3), colour, dtype=np.uint8)


def spotted(x: int, y: int, width: int, height: int) -> RgbImage:
    """White, 40 wide and 30 high, with a black rectangle."""
    image = image_of(255, 255, 255, width=40, height=30)
    image[y : y + height, x : x + width] = 0
    return image


def encoded(image: RgbImage, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind, **options)
    return content.getvalue()
