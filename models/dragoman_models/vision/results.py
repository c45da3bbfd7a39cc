"""What models of images take and answer: the shapes that training, serving and clients share."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# (height, width, 3), unsigned 8-bit red, green and blue; upright: its orientation has been applied.
RgbImage: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ClassProbability:
    """One class of a classifier: its index in the model's labels, its label, its probability."""

    class_id: int
    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in pixels from an image's upper left corner: x to the right, y down.

    0 <= x_min < x_max <= width, 0 <= y_min < y_max <= height.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, kw_only=True)
class DetectedObject:
    """One object in an image; its score is between 0 and 1."""

    box: Box
    class_id: int
    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class DetectionOptions:
    """Which of a detector's boxes are answered.

    Args:
        score_threshold: least score, 0 to 1; None takes the model's own.
        iou_threshold: of two boxes of one class that overlap by more than this intersection over
            union, only that of the higher score is kept; above 0, up to 1.
        max_detections: most objects an image, highest score first; 1 to 1,000.
    """

    score_threshold: float | None = None
    iou_threshold: float = 0.45
    max_detections: int = 100
