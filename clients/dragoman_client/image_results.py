"""What the calls about images answer: plain values, no protobuf."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_client.results import ModelVersion


@dataclass(frozen=True, kw_only=True)
class ClassProbability:
    """A class that an image may show: its index among the model's labels, its label, 0 to 1."""

    class_id: int
    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What an image shows: the most probable classes, the first one above all."""

    classes: tuple[ClassProbability, ...]
    model: ModelVersion

    @property
    def label(self) -> str:
        """The label of the most probable class."""
        return self.classes[0].label


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """A rectangle in pixels from an image's upper left corner: x to the right, y down.

    The image is as people see it: its orientation has been applied.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One object in an image; ``score`` is how sure the model is, 0 to 1."""

    box: BoundingBox
    class_id: int
    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The objects in an image, highest score first, and the image's size in pixels."""

    detections: tuple[Detection, ...]
    image_width: int
    image_height: int
    model: ModelVersion


@dataclass(frozen=True, kw_only=True)
class ImageVector:
    """The vector of an image: ``len(values)`` components, of length 1."""

    values: tuple[float, ...]
    model: ModelVersion


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How far two images are apart (0 to 2), and whether that is at most the threshold."""

    distance: float
    threshold: float
    same: bool
    model: ModelVersion
