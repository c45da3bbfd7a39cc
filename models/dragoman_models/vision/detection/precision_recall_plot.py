"""Precision against recall, a curve for each class."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dragoman_models.metrics.average_precision import Interpolation, PrecisionRecall
from dragoman_models.picture_file import new_figure, save_picture


def precision_recall_picture(curves: Mapping[str, PrecisionRecall], threshold: float) -> bytes:
    """The curves at one IoU as PNG; a dot marks the score from which boxes are answered.

    Raises ModuleNotFoundError without matplotlib (the extra `plot`).
    """
    figure = new_figure(6, 4.5)
    axes = figure.subplots()
    for label, curve in curves.items():
        area = curve.average_precision(Interpolation.COCO_101_POINTS)
        (line,) = axes.plot(curve.recall, curve.precision, label=f"{label}, AP {area:.3f}")
        count = int((curve.scores >= threshold).sum())
        if count:
            place = (curve.recall[count - 1 : count], curve.precision[count - 1 : count])
            axes.plot(*place, marker="o", color=line.get_color())
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.set_title(f"IoU 0.5; dots: score {threshold:.2f}")
    axes.legend(loc="lower left")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "precision-recall.png"
        save_picture(figure, path, "precision and recall")
        return path.read_bytes()
