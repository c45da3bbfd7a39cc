"""Learning curves of several runs of one recipe as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dragoman_models.errors import TrainingError


def plot_curves(curves: Mapping[str, Sequence[Mapping[str, str]]], path: Path) -> None:
    """Draws dev BLEU and dev loss over passes, a line a run.

    Args:
        curves: by the runs' names, the rows of their log.csv.
    Raises:
        TrainingError: matplotlib is missing, or the disk refuses.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TrainingError("matplotlib is missing: pip install dragoman[plot]") from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    scales = figure.subplots(1, 2)
    labels = {"dev_bleu": "BLEU of dev, beam 1", "dev_loss": "loss of dev, nats a piece"}
    for axes, (column, label) in zip(scales, labels.items(), strict=True):
        for name, rows in curves.items():
            passes = [int(row["pass"]) for row in rows]
            values = [float(row[column]) for row in rows]
            axes.plot(passes, values, marker="o", markersize=3, linewidth=1, label=name)
        axes.set(xlabel="passes over the training pairs", ylabel=label)
        axes.grid(alpha=0.3)
    scales[0].legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error
