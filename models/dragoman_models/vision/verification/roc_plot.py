"""Draws how false acceptance and false rejection trade against each other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dragoman_models.picture_file import new_figure, save_picture
from dragoman_models.vision.verification.measure import VerificationFigures
from dragoman_models.vision.verification.one_shot import Protocol

_LABELS: dict[Protocol, str] = {"within": "within a group", "mixed": "of all groups"}


def roc_picture(verification: Mapping[Protocol, VerificationFigures]) -> bytes:
    """The ROC of each protocol as PNG: FAR on a logarithmic axis, the equal error and the stored
    threshold marked."""
    figure = new_figure(6.5, 4.5)
    axes = figure.subplots()
    for name, one in verification.items():
        curve, equal = one.curve, one.equal
        shown = curve.false_acceptance > 0
        (line,) = axes.plot(
            curve.false_acceptance[shown],
            1 - curve.false_rejection[shown],
            label=f"pairs {_LABELS[name]}: equal error {equal.rate:.2%}",
        )
        color = line.get_color()
        axes.plot(equal.rate, 1 - equal.rate, "o", color=color)
        axes.plot(one.false_acceptance, 1 - one.false_rejection, "x", color=color, markersize=9)
    axes.set_xscale("log")
    axes.set(
        xlim=(1e-4, 1),
        xlabel="false acceptance: pairs of two classes within the threshold",
        ylabel="true acceptance: pairs of one class within it",
        title="Classes never seen (dot: equal error, cross: stored threshold)",
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "roc.png"
        save_picture(figure, path, "ROC")
        return path.read_bytes()
