"""Models of images as the services use them: they take the content of files, and decode it.

This stands around the model where that is, in a worker process as a rule. So a file that kills a
decoder kills that process and no other, and pixels never travel between processes. Images are
decoded as the model comes to need them: however many there are, few are in memory as pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import (
    DragomanError,
    FieldViolation,
    InvalidInputError,
    WorkCancelledError,
)
from dragoman_models.vision.image_decoding import ImageLimits, decode_image
from dragoman_models.vision.results import (
    ClassProbability,
    DetectedObject,
    DetectionOptions,
    RgbImage,
)
from dragoman_server.model_protocols import ImageClassifier, ImageEmbedder, ObjectDetector
from dragoman_server.served_families import IMAGE_CLASSIFIER, IMAGE_EMBEDDER, OBJECT_DETECTOR

Answer = TypeVar("Answer")
Cancelled = Callable[[int], bool]

# What a model gets at once: enough for its arithmetic, and a bound of the memory for pixels.
_IMAGES_AT_ONCE = 16
_PIXELS_AT_ONCE = 8_000_000


@dataclass(frozen=True, kw_only=True)
class ImageModelFacts:
    """What a model of images is: the labels of its classes, or the size of its vectors and the
    calibrated threshold of their distance."""

    labels: tuple[str, ...] = ()
    dimensions: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class ImageObjects:
    """The objects in an image, and its size in pixels, upright."""

    objects: list[DetectedObject]
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class ImageComparison:
    """How far two images are apart, and whether that is at most the threshold."""

    distance: float
    threshold: float
    same: bool


class EncodedImages:
    """Decodes contents for a model, some images at a time; each answer or error in its place."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits

    def answers(
        self,
        contents: Sequence[bytes],
        look: Callable[[list[RgbImage]], Sequence[Answer]],
        cancelled: Cancelled | None,
    ) -> list[Answer | DragomanError]:
        """What `look` answers to each image, or the error of an image that does not decode, or
        `WorkCancelledError` for one that nobody waits for when it is its turn."""
        outcomes: dict[int, Answer | DragomanError] = {}
        waiting: dict[int, RgbImage] = {}

        def look_at_waiting() -> None:
            if waiting:
                outcomes.update(zip(waiting, look(list(waiting.values())), strict=True))
                waiting.clear()

        for index, content in enumerate(contents):
            if cancelled is not None and cancelled(index):
                outcomes[index] = WorkCancelledError()
                continue
            try:
                waiting[index] = decode_image(content, limits=self._limits)
            except InvalidInputError as error:
                outcomes[index] = error
            pixels = sum(image.shape[0] * image.shape[1] for image in waiting.values())
            if len(waiting) == _IMAGES_AT_ONCE or pixels >= _PIXELS_AT_ONCE:
                look_at_waiting()
        look_at_waiting()
        return [outcomes[index] for index in range(len(contents))]


class EncodedClassifier:
    """A classifier of encoded images."""

    def __init__(self, model: ImageClassifier, limits: ImageLimits) -> None:
        self._model = model
        self._images = EncodedImages(limits)

    def facts(self) -> ImageModelFacts:
        return ImageModelFacts(labels=tuple(self._model.labels))

    def classify(
        self, contents: Sequence[bytes], *, top_k: int, cancelled: Cancelled | None = None
    ) -> list[list[ClassProbability] | DragomanError]:
        def look(images: list[RgbImage]) -> list[list[ClassProbability]]:
            return self._model.classify(images, top_k=min(top_k, len(self._model.labels)))

        return self._images.answers(contents, look, cancelled)


class EncodedDetector:
    """A detector of objects in encoded images."""

    def __init__(self, model: ObjectDetector, limits: ImageLimits) -> None:
        self._model = model
        self._images = EncodedImages(limits)

    def facts(self) -> ImageModelFacts:
        return ImageModelFacts(labels=tuple(self._model.labels))

    def detect(
        self,
        contents: Sequence[bytes],
        options: DetectionOptions,
        *,
        cancelled: Cancelled | None = None,
    ) -> list[ImageObjects | DragomanError]:
        def look(images: list[RgbImage]) -> list[ImageObjects]:
            return [
                ImageObjects(objects=objects, width=image.shape[1], height=image.shape[0])
                for image, objects in zip(images, self._model.detect(images, options), strict=True)
            ]

        return self._images.answers(contents, look, cancelled)


class EncodedEmbedder:
    """Vectors of encoded images, and whether two are near enough to show the same."""

    def __init__(self, model: ImageEmbedder, limits: ImageLimits) -> None:
        self._model = model
        self._images = EncodedImages(limits)

    def facts(self) -> ImageModelFacts:
        return ImageModelFacts(
            dimensions=self._model.dimensions, threshold=float(self._model.threshold)
        )

    def embed(
        self, contents: Sequence[bytes], *, cancelled: Cancelled | None = None
    ) -> list[NDArray[np.float32] | DragomanError]:
        def look(images: list[RgbImage]) -> list[NDArray[np.float32]]:
            return list(self._model.embed(images))  # (images, D)

        return self._images.answers(contents, look, cancelled)

    def verify(
        self,
        pairs: Sequence[tuple[bytes, bytes]],
        *,
        threshold: float | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[ImageComparison | DragomanError]:
        contents = [content for pair in pairs for content in pair]
        of_image = None if cancelled is None else lambda index: cancelled(index // 2)
        vectors = self.embed(contents, cancelled=of_image)
        most = float(self._model.threshold) if threshold is None else threshold
        return [
            self._compared(first, second, most)
            for first, second in zip(vectors[::2], vectors[1::2], strict=True)
        ]

    def _compared(
        self,
        first: NDArray[np.float32] | DragomanError,
        second: NDArray[np.float32] | DragomanError,
        threshold: float,
    ) -> ImageComparison | DragomanError:
        if isinstance(first, DragomanError) or isinstance(second, DragomanError):
            return _pair_error(first=first, second=second)
        distance = float(self._model.distance(first, second))
        return ImageComparison(distance=distance, threshold=threshold, same=distance <= threshold)


def _pair_error(**images: object) -> DragomanError:
    """The error of a pair: what is wrong with either image, under its name."""
    violations = []
    for name, outcome in images.items():
        if isinstance(outcome, InvalidInputError):
            violations += [
                FieldViolation(field=f"{name}.{one.field}", description=one.description)
                for one in outcome.violations
            ]
        elif isinstance(outcome, DragomanError):
            return outcome
    return InvalidInputError(violations)


def over_encoded_images(model: Any, family: str, limits: ImageLimits) -> object:
    """The model for encoded images around one for pixels; any other model as it is."""
    wrappers: dict[str, Callable[[Any, ImageLimits], object]] = {
        IMAGE_CLASSIFIER: EncodedClassifier,
        OBJECT_DETECTOR: EncodedDetector,
        IMAGE_EMBEDDER: EncodedEmbedder,
    }
    wrap = wrappers.get(family)
    return model if wrap is None else wrap(model, limits)
