"""The images of a recipe: which are learnt, which are held out, and at what scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.vision.detection.anchors import cluster_sizes
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig, SizePair
from dragoman_models.vision.detection.labelled_images import LabelledImage
from dragoman_models.vision.detection.letterbox import letterbox_of, scaled
from dragoman_models.vision.detection.recipe import DetectorRecipe
from dragoman_models.vision.detection.voc_dataset import VocDataset, read_names
from dragoman_models.vision.results import RgbImage

_CACHE_BYTES = 1 << 30  # decoded images that are kept, scaled, for the next pass


class RunData:
    """The training images of a recipe, divided by its seed."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        """Raises `TrainingError` where the data is unusable, or too little to hold some out."""
        self._recipe = recipe
        names = read_names(recipe.train) if recipe.train is not None else None
        self.dataset = VocDataset(recipe.data, names, recipe.labels)
        images = self.dataset.images
        if recipe.test is not None:
            tested = set(read_names(recipe.test))
            if names is None:
                images = tuple(one for one in images if one.name not in tested)
            elif tested & set(names):
                raise TrainingError(f"test: {min(tested & set(names))} is in the list of train too")
        if len(images) - recipe.held_out < recipe.batch_size:
            raise TrainingError(
                f"held_out: of {len(images)} images, {recipe.held_out} held out leave fewer than "
                f"a batch of {recipe.batch_size}"
            )
        order = np.random.default_rng([recipe.seed, 0]).permutation(len(images))
        self.held_out = tuple(images[index] for index in sorted(order[: recipe.held_out]))
        self.train = tuple(images[index] for index in sorted(order[recipe.held_out :]))
        if not any(len(one.boxes) for one in self.train):
            raise TrainingError(f"{recipe.data}: the images to learn from have no boxes")
        self._kept: dict[str, RgbImage] = {}
        self._room = _CACHE_BYTES

    def network_config(self) -> DetectorConfig:
        """The network's sizes, its anchors being clusters of the boxes to learn."""
        sizes = np.concatenate(
            [
                (one.boxes[:, 2:] - one.boxes[:, :2])
                * (self._recipe.input_size / max(one.width, one.height))
                for one in self.train
            ]
        )
        found = cluster_sizes(
            sizes, self._recipe.anchors, np.random.default_rng([self._recipe.seed, 1])
        )
        each = self._recipe.anchors // len(STRIDES)
        rounded: list[SizePair] = [
            (round(float(width), 2), round(float(height), 2)) for width, height in found.sizes
        ]
        return DetectorConfig(
            labels=self.dataset.labels,
            input_size=self._recipe.input_size,
            anchors=tuple(tuple(rounded[i : i + each]) for i in range(0, len(rounded), each)),
            neck_channels=self._recipe.neck_channels,
        )

    def scaled_image(self, image: LabelledImage) -> tuple[RgbImage, NDArray[np.float64]]:
        """An image at the size it is used at, and its boxes there, (N, 4) corners."""
        pixels = self._kept.get(image.name)
        if pixels is None:
            full = self.dataset.pixels(image)
            pixels = scaled(full, letterbox_of(full, self._recipe.input_size))
            if pixels.nbytes <= self._room:
                self._room -= pixels.nbytes
                self._kept[image.name] = pixels
        height, width = pixels.shape[:2]
        across, down = width / image.width, height / image.height
        return pixels, image.boxes * np.array([across, down, across, down])
