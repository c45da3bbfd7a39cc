"""A loaded detector: images in, the objects in them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_models.vision.detection.boxes import to_corners
from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.decoding import decode_outputs
from dragoman_models.vision.detection.letterbox import (
    Letterbox,
    letterbox_of,
    on_canvas,
    standardised,
)
from dragoman_models.vision.detection.predictions import Detections, select
from dragoman_models.vision.results import Box, DetectedObject, DetectionOptions, RgbImage

# On one core a batch is hardly faster than its images one by one; a small one bounds the memory.
_LARGEST_BATCH = 8
_MOST_DETECTIONS = 1000


class OutputNetwork(Protocol):
    """What computes a detector's logits."""

    def outputs(self, images: NDArray[np.float32]) -> Sequence[torch.Tensor]:
        """(B, 3, H, W) to, for each stride s, (B, A, H / s, W / s, 5 + classes)."""
        ...


class SingleShotDetector:
    """A detector with its labels, and the score from which it takes a box for an object."""

    def __init__(
        self, network: OutputNetwork, config: DetectorConfig, *, score_threshold: float
    ) -> None:
        self._network = network
        self._config = config
        self.score_threshold = score_threshold

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, by their indices."""
        return self._config.labels

    def detect(
        self, images: Sequence[RgbImage], options: DetectionOptions
    ) -> list[list[DetectedObject]]:
        """The objects of each image (H, W, 3), highest score first, boxes in its own pixels.

        Raises:
            InvalidInputError: an option is out of its range, or an image has no pixels.
        """
        _check(options)
        return [self._objects(one) for one in self.detections(images, options)]

    def detections(self, images: Sequence[RgbImage], options: DetectionOptions) -> list[Detections]:
        """The same as arrays; images whose canvases are alike are computed together."""
        for index, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise InvalidInputError.single(
                    f"images[{index}]", f"has shape {image.shape}; give (height, width, 3)"
                )
        places = [letterbox_of(image, self._config.input_size) for image in images]
        found: list[Detections | None] = [None] * len(images)
        for chosen in _batches(places):
            canvases = np.stack([on_canvas(images[index], places[index]) for index in chosen])
            boxes, probabilities = self._predictions(standardised(canvases))
            for row, index in enumerate(chosen):
                found[index] = self._selected(
                    places[index].to_image(boxes[row]), probabilities[row], options
                )
        return [one for one in found if one is not None]

    @torch.inference_mode()
    def _predictions(
        self, images: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Corners (B, N, 4) on the canvas, and (B, N, 1 + classes) probabilities."""
        outputs = self._network.outputs(images)
        boxes = to_corners(decode_outputs(outputs, self._config))
        logits = torch.cat([one[..., 4:].flatten(1, 3) for one in outputs], dim=1)
        return boxes.numpy(), logits.sigmoid().numpy()

    def _selected(
        self,
        boxes: NDArray[np.float32],
        probabilities: NDArray[np.float32],
        options: DetectionOptions,
    ) -> Detections:
        threshold = options.score_threshold
        return select(
            boxes,
            probabilities,
            score_threshold=self.score_threshold if threshold is None else threshold,
            iou_threshold=options.iou_threshold,
            most=options.max_detections,
        )

    def _objects(self, found: Detections) -> list[DetectedObject]:
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
        return [
            DetectedObject(
                box=Box(x_min=box[0], y_min=box[1], x_max=box[2], y_max=box[3]),
                class_id=class_id,
                label=self._config.labels[class_id],
                score=score,
            )
            for box, score, class_id in rows
        ]


def _batches(places: Sequence[Letterbox]) -> Iterator[list[int]]:
    """Indices of images with one size of canvas, a few at a time."""
    alike: dict[tuple[int, int], list[int]] = {}
    for index, place in enumerate(places):
        alike.setdefault((place.canvas_height, place.canvas_width), []).append(index)
    for indices in alike.values():
        for start in range(0, len(indices), _LARGEST_BATCH):
            yield indices[start : start + _LARGEST_BATCH]


def _check(options: DetectionOptions) -> None:
    violations = []
    threshold = options.score_threshold
    # Written so that what is not a number is refused too.
    if threshold is not None and not 0 <= threshold <= 1:
        violations.append(
            FieldViolation(
                field="options.score_threshold", description=f"is {threshold:g}; give 0 to 1"
            )
        )
    if not 0 < options.iou_threshold <= 1:
        violations.append(
            FieldViolation(
                field="options.iou_threshold",
                description=f"is {options.iou_threshold:g}; give more than 0, up to 1",
            )
        )
    if not 1 <= options.max_detections <= _MOST_DETECTIONS:
        violations.append(
            FieldViolation(
                field="options.max_detections",
                description=f"is {options.max_detections}; give 1 to {_MOST_DETECTIONS:,}",
            )
        )
    if violations:
        raise InvalidInputError(violations)
