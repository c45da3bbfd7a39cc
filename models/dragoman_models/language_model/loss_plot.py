"""The loss curves of a run as a picture, where matplotlib is installed."""

from __future__ import annotations

import csv
from pathlib import Path


def plot_losses(folder: Path) -> Path | None:
    """Draws ``updates.csv`` and ``log.csv`` of a run into its ``loss.png``.

    Returns:
        the picture's path, or None where matplotlib (the extra `plot`) is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    steps, epochs = (_rows(folder / name) for name in ("updates.csv", "log.csv"))
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [int(row["update"]) for row in steps],
        [float(row["train_loss"]) for row in steps],
        linewidth=0.8, label="training, with dropout",
    )  # fmt: skip
    axes.plot(
        [int(row["update"]) for row in epochs],
        [float(row["valid_loss"]) for row in epochs],
        marker="o", markersize=3, label="validation",
    )  # fmt: skip
    axes.set(xlabel="updates", ylabel="loss, nats per token")
    axes.legend()
    target = folder / "loss.png"
    figure.savefig(target, dpi=120)
    return target


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
