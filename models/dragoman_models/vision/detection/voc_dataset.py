"""A detection data set in the Pascal VOC layout; what cannot be used is named and left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.vision.detection.labelled_images import LabelledImage, Skipped
from dragoman_models.vision.detection.voc_annotation import (
    AnnotationError,
    VocAnnotation,
    read_annotation,
)
from dragoman_models.vision.detection.voc_files import open_voc
from dragoman_models.vision.image_decoding import ImageLimits, decode_image
from dragoman_models.vision.results import RgbImage

_LIMITS = ImageLimits()


class VocDataset:
    """The images of a data set, or of a list of names in it, whose pixels and boxes are sound.

    Every image is decoded once when the data set is opened, so that a damaged file is told then and
    not in the middle of training. `skipped` names what was left out: images without annotation,
    annotations without image, files that do not decode, boxes without width or height or outside
    of the image.
    """

    def __init__(
        self, path: Path, names: Sequence[str] | None = None, labels: Sequence[str] | None = None
    ) -> None:
        """Reads all annotations.

        Args:
            path: the folder or tar archive (`voc_files`).
            names: the images to use; None takes all.
            labels: of the classes, in order; None takes those that occur, sorted.

        Raises:
            TrainingError: nothing is there, a label is unknown, or no image is left.
        """
        self._files = open_voc(path)
        self.skipped: list[Skipped] = []
        found: list[tuple[str, VocAnnotation, tuple[int, int]]] = []
        for name in self._files.names if names is None else names:
            try:
                found.append((name, *self._checked(name)))
            except AnnotationError as error:
                self.skipped.append(Skipped(name=name, reason=f"{error}; the image is left out"))
        if not found:
            first = f" (first: {self.skipped[0]})" if self.skipped else ""
            raise TrainingError(f"{path}: no image can be used{first}")
        self.labels = tuple(labels) if labels is not None else _labels(one for _, one, _ in found)
        self.images = tuple(self._labelled(*one) for one in found)

    def pixels(self, image: LabelledImage) -> RgbImage:
        """The image itself, (height, width, 3).

        Raises `TrainingError` where it has vanished or changed since the data set was opened.
        """
        content = self._files.image(image.name)
        try:
            if content is not None:
                return decode_image(content, limits=_LIMITS)
        except InvalidInputError as error:
            raise TrainingError(f"{image.name} has changed and does not decode: {error}") from error
        raise TrainingError(f"{image.name} has vanished from the data set")

    def _checked(self, name: str) -> tuple[VocAnnotation, tuple[int, int]]:
        """An annotation and the size of its image; raises `AnnotationError` with the reason."""
        content, image = self._files.annotation(name), self._files.image(name)
        if content is None:
            raise AnnotationError("it has no annotation" if image else "there is no such image")
        if image is None:
            raise AnnotationError("its annotation has no image")
        annotation = read_annotation(content)
        try:
            height, width = decode_image(image, limits=_LIMITS).shape[:2]
        except InvalidInputError as error:
            reasons = "; ".join(violation.description for violation in error.violations)
            raise AnnotationError(f"its file {reasons}") from error
        if annotation.size not in (None, (width, height)):
            raise AnnotationError(
                f"its annotation is of {annotation.size} pixels, the image has {(width, height)}"
            )
        return annotation, (width, height)

    def _labelled(
        self, name: str, annotation: VocAnnotation, size: tuple[int, int]
    ) -> LabelledImage:
        width, height = size
        boxes, classes = [], []
        for number, one in enumerate(annotation.objects, start=1):
            if one.label not in self.labels:
                raise TrainingError(
                    f"{name}: {one.label!r} is none of the labels {', '.join(self.labels)}"
                )
            left, top, right, bottom = one.corners
            # The format counts pixels from 1, the last included; here edges lie between pixels.
            box = np.clip([left - 1, top - 1, right, bottom], 0, [width, height, width, height])
            if right <= left or bottom <= top or (box[2:] <= box[:2]).any():
                self.skipped.append(
                    Skipped(
                        name=name,
                        reason=f"object {number} ({one.label}) has no width or height within the "
                        f"image: {left:g}, {top:g}, {right:g}, {bottom:g}; the box is left out",
                    )
                )
                continue
            boxes.append(box)
            classes.append(self.labels.index(one.label))
        return LabelledImage(
            name=name,
            width=width,
            height=height,
            boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            classes=np.array(classes, dtype=np.int64),
        )


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a list of images, one a line, in the order of the file.

    Raises:
        TrainingError: it cannot be read, is empty, or names an image twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"cannot read the list {path}: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise TrainingError(f"the list {path} names no images")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TrainingError(f"the list {path} names {twice} twice")
    return names


def _labels(annotations: Iterable[VocAnnotation]) -> tuple[str, ...]:
    labels = tuple(sorted({one.label for each in annotations for one in each.objects}))
    if not labels:
        raise TrainingError("the data set's annotations name no object")
    return labels
