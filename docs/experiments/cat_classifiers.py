"""Cats or not, by networks written out in numpy; and what edge filters see in a drawing.

    python docs/experiments/cat_classifiers.py data/cat          # three minutes on one core

data/cat holds train_catvnoncat.h5 and test_catvnoncat.h5: 209 pictures of 64 x 64 to learn from, 50
to test on.

1. Logistic regression, a network of 7 hidden units and one of 4 layers, by settings that a course
   publishes: gradient descent over the whole set, pixels from 0 to 1.
2. Bias and variance: the error on either set against the weight of L2 and the share of units that
   dropout keeps, for the network of 4 layers on standardized inputs, mean of several seeds. The
   table shows what regularization does; nothing is chosen by it.
3. docs/pictures/cat-bias-variance.png and docs/pictures/edge-filters.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dragoman_models.picture_file import new_figure, save_picture
from dragoman_models.vision.first_principles.activations import Floats
from dragoman_models.vision.first_principles.cat_set import read_cat_set
from dragoman_models.vision.first_principles.costs import Classes
from dragoman_models.vision.first_principles.deep_network import DeepNetwork, DeepNetworkOptions
from dragoman_models.vision.first_principles.edge_filters import VERTICAL_EDGES, edges
from dragoman_models.vision.first_principles.input_scaling import input_scaling
from dragoman_models.vision.first_principles.logistic_regression import fit_logistic_regression
from dragoman_models.vision.first_principles.optimizers import (
    Adam,
    GradientDescent,
    Momentum,
    Optimizer,
    RmsProp,
)

PICTURES = Path(__file__).parent.parent / "pictures"
DEEP = (12288, 20, 7, 5, 1)
L2_WEIGHTS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
KEEP_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
OPTIMIZERS: dict[str, tuple[Callable[[float], Optimizer], float]] = {
    "gradient descent": (GradientDescent, 0.0075),
    "momentum": (Momentum, 0.0075),
    "RMSProp": (RmsProp, 0.0003),
    "Adam": (Adam, 0.0003),
}


@dataclass(frozen=True, kw_only=True)
class CatData:
    """Inputs (N, 12288) and classes (N,) of either set."""

    train: tuple[Floats, Classes]
    test: tuple[Floats, Classes]

    def standardized(self) -> CatData:
        """With each pixel's mean and spread over the training set taken out."""
        scaling = input_scaling(self.train[0])
        return CatData(
            train=(scaling.scaled(self.train[0]), self.train[1]),
            test=(scaling.scaled(self.test[0]), self.test[1]),
        )

    def accuracies(self, classes: Callable[[Floats], Classes]) -> tuple[float, float]:
        """Shares of right answers: (train, test)."""
        train, test = (
            float((classes(inputs) == gold).mean()) for inputs, gold in (self.train, self.test)
        )
        return train, test


def read(folder: Path) -> CatData:
    """The set, pixels from 0 to 1, in float32."""
    train, test = ((part.flat(np.float32), part.classes) for part in read_cat_set(folder))
    return CatData(train=train, test=test)


def fitted(
    data: CatData, options: DeepNetworkOptions, optimizer: Optimizer, *, steps: int, seed: int
) -> tuple[DeepNetwork, float]:
    """A network after so many steps over the whole set, and its last cost (with what L2 adds)."""
    chance = np.random.default_rng(seed)
    inputs, gold = data.train
    network = DeepNetwork(options, chance, inputs.dtype.type)
    for _ in range(steps):
        done = network.forward(inputs, chance)
        optimizer.step(network.parameters, network.gradients(done, gold))
    return network, network.cost(network.forward(inputs), gold)


def course_table(data: CatData, seeds: Sequence[int]) -> None:
    """The models of the course, by its settings; networks once for each seed."""
    model, costs = fit_logistic_regression(*data.train, iterations=2000, learning_rate=0.005)
    train, test = data.accuracies(model.classes)
    print(f"logistic regression: train {train:.1%}, test {test:.1%}, cost {costs[-1]:.4f}")
    for name, units in (("7 hidden units", (12288, 7, 1)), ("20, 7 and 5 hidden units", DEEP)):
        options = DeepNetworkOptions(units=units)
        found = []
        for seed in seeds:
            network, _ = fitted(data, options, GradientDescent(0.0075), steps=2500, seed=seed)
            found.append(data.accuracies(network.classes))
        print(f"{name}: {described(found)}")


def optimizer_table(data: CatData, seeds: Sequence[int]) -> None:
    """How far each optimizer brings the deep network's cost in 300 steps."""
    for name, (make, rate) in OPTIMIZERS.items():
        costs, found = [], []
        for seed in seeds:
            network, cost = fitted(
                data, DeepNetworkOptions(units=DEEP), make(rate), steps=300, seed=seed
            )
            costs.append(cost)
            found.append(data.accuracies(network.classes))
        print(f"{name}, rate {rate:g}: cost {np.mean(costs):.4f}, {described(found)}")


def described(found: Sequence[tuple[float, float]]) -> str:
    """Mean, least and most of each accuracy."""
    parts = []
    for name, values in zip(("train", "test"), np.array(found).T, strict=True):
        parts.append(f"{name} {values.mean():.1%} ({values.min():.0%} to {values.max():.0%})")
    return ", ".join(parts)


def errors(
    data: CatData, options: Sequence[DeepNetworkOptions], seeds: Sequence[int], steps: int
) -> list[tuple[float, float]]:
    """Mean errors (train, test) of each choice."""
    rows = []
    for one in options:
        found = [
            data.accuracies(fitted(data, one, Adam(0.0003), steps=steps, seed=seed)[0].classes)
            for seed in seeds
        ]
        train, test = 1 - np.mean(found, axis=0)
        print(
            f"L2 {one.l2:5g}, kept {one.keep_share:.1f}: train error {train:.1%}, test {test:.1%}"
        )
        rows.append((float(train), float(test)))
    return rows


def bias_and_variance(data: CatData, seeds: Sequence[int], steps: int) -> Path:
    """Prints and draws both errors against either way to regularize."""
    by_l2 = [DeepNetworkOptions(units=DEEP, l2=weight) for weight in L2_WEIGHTS]
    by_dropout = [DeepNetworkOptions(units=DEEP, keep_share=share) for share in KEEP_SHARES]
    figure = new_figure(9, 3.6)
    axes = figure.subplots(1, 2, sharey=True)
    dropped = [1 - share for share in KEEP_SHARES]
    for place, options, where, title in (
        (0, by_l2, L2_WEIGHTS, "weight of L2"), (1, by_dropout, dropped, "share dropped"),
    ):  # fmt: skip
        rows = np.array(errors(data, options, seeds, steps))
        for column, name in enumerate(("train", "test")):
            axes[place].plot(where, 100 * rows[:, column], marker="o", label=name)
        axes[place].set(xlabel=title)
    axes[0].set_xscale("symlog", linthresh=1.0)
    axes[0].set(ylabel="error, %", ylim=(-1, None))
    axes[0].legend()
    path = PICTURES / "cat-bias-variance.png"
    save_picture(figure, path, "Bias and variance")
    return path


def drawing() -> Floats:
    """A house under a sun, (96, 128), from 0 to 1."""
    image = Image.new("L", (512, 384), 200)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 300, 512, 384), fill=90)
    pen.rectangle((130, 190, 330, 320), fill=150)
    pen.polygon([(110, 190), (230, 90), (350, 190)], fill=60)
    pen.rectangle((205, 240, 255, 320), fill=40)
    pen.rectangle((150, 215, 190, 255), fill=235)
    pen.rectangle((275, 215, 315, 255), fill=235)
    pen.ellipse((390, 40, 470, 120), fill=255)
    return np.asarray(image.resize((128, 96), Image.Resampling.BOX), np.float64) / 255


def edge_picture() -> Path:
    """Draws what each kernel sees in a drawing."""
    image = drawing()
    figure = new_figure(10, 5.6)
    axes = figure.subplots(len(VERTICAL_EDGES), 4)
    for row, (name, kernel) in zip(axes, VERTICAL_EDGES.items(), strict=True):
        vertical, horizontal, both = edges(image, kernel / np.abs(kernel).sum())
        row[0].imshow(image, cmap="gray")
        row[0].set_ylabel(name)
        for place, seen, title in (
            (1, vertical, "vertical"), (2, horizontal, "horizontal"), (3, both, "both"),
        ):  # fmt: skip
            row[place].imshow(seen, cmap="gray", vmin=0 if place == 3 else -0.4, vmax=0.4)
            row[place].set_title(title, fontsize=8)
        for one in row:
            one.set(xticks=[], yticks=[])
    path = PICTURES / "edge-filters.png"
    save_picture(figure, path, "Edge filters")
    return path


def main() -> None:
    """Runs the parts that are asked for, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the cat set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300, help="of the table of errors")
    parser.add_argument("--parts", nargs="+", default=["course", "optimizers", "errors", "edges"])
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)
    data = read(options.data)
    if "course" in options.parts:
        course_table(data, seeds)
    if "optimizers" in options.parts:
        optimizer_table(data, seeds)
    if "errors" in options.parts:
        print(bias_and_variance(data.standardized(), seeds, options.steps))
    if "edges" in options.parts:
        print(edge_picture())


if __name__ == "__main__":
    main()
