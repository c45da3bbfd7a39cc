"""What a classifier gets right on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.vision.results import RgbImage


@dataclass(frozen=True, kw_only=True)
class ClassificationFigures:
    """Right and wrong answers: (gold class, answered class) -> images, and those in the first 5."""

    confusion: NDArray[np.int64]  # (classes, classes)
    in_first_five: int

    @property
    def images(self) -> int:
        """How many were classified."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share whose likeliest class is the right one."""
        return float(np.trace(self.confusion) / self.images)

    def recalls(self) -> NDArray[np.float64]:
        """Of each class's images, the share that was found; NaN for a class without images."""
        return _shares(np.diag(self.confusion), self.confusion.sum(axis=1))

    def precisions(self) -> NDArray[np.float64]:
        """Of the answers of each class, the share that was right; NaN where it was never said."""
        return _shares(np.diag(self.confusion), self.confusion.sum(axis=0))

    def as_metrics(self, labels: Sequence[str]) -> dict[str, Any]:
        """For metrics.json; a share of nothing is null."""
        classes = [
            {"label": label, "images": int(count), "recall": _or_none(recall),
             "precision": _or_none(precision)}
            for label, count, recall, precision in zip(
                labels, self.confusion.sum(axis=1), self.recalls(), self.precisions(), strict=True
            )
        ]  # fmt: skip
        return {
            "images": self.images,
            "accuracy": round(self.accuracy, 5),
            "top_5_accuracy": round(self.in_first_five / self.images, 5),
            "classes": classes,
            "confusion": self.confusion.tolist(),
        }


def classification_figures(
    probabilities: NDArray[np.float64], gold: NDArray[np.int64]
) -> ClassificationFigures:
    """From probabilities (N, classes) and the right classes (N,), N from 1."""
    classes = probabilities.shape[1]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confusion = np.bincount(gold * classes + order[:, 0], minlength=classes * classes)
    return ClassificationFigures(
        confusion=confusion.reshape(classes, classes).astype(np.int64),
        in_first_five=int((order[:, :5] == gold[:, np.newaxis]).sum()),
    )


def rgb_images(pixels: NDArray[np.uint8]) -> list[RgbImage]:
    """Images (N, H, W, 1 or 3) as a caller would give them."""
    return [np.broadcast_to(image, (*image.shape[:2], 3)) for image in pixels]


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _or_none(share: float) -> float | None:
    return None if np.isnan(share) else round(float(share), 4)
