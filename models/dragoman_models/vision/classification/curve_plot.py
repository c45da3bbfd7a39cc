"""The learning curve of a run as a picture, where matplotlib is installed."""

from __future__ import annotations

import csv
from pathlib import Path


def plot_curve(folder: Path) -> Path | None:
    """Draws ``log.csv`` of a run into its ``curve.png``.

    Returns:
        the picture's path, or None where matplotlib (the extra `plot`) is missing.
    """
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        return None
    from dragoman_models.picture_file import new_figure, save_picture

    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure = new_figure(9, 4)
    losses, accuracies = figure.subplots(1, 2)
    for name, label in (("train_loss", "training, smoothed labels"), ("valid_loss", "validation")):
        losses.plot(epochs, [float(row[name]) for row in rows], label=label)
    losses.set(xlabel="epochs", ylabel="loss, nats")
    losses.legend()
    accuracies.plot(epochs, [100 * (1 - float(row["valid_accuracy"])) for row in rows])
    accuracies.set(xlabel="epochs", ylabel="validation error, %", ylim=(0, None))
    target = folder / "curve.png"
    save_picture(figure, target, "Learning curve")
    return target
