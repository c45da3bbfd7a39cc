"""The card of a residual classifier's bundle: data, licence, attribution, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman_models.training_data import TrainingData
from dragoman_models.vision.classification.measure import ClassificationFigures
from dragoman_models.vision.classification.recipe import ClassifierRecipe

_CARD = """\
# {name}: image classifier, {classes} classes

A residual convolutional network for images of {height} x {width} pixels, {channels}, {parameters:,}
parameters, stored in 16 bits with the normalizations folded into the kernels: a stem of {stem}
feature maps, then stages of {widths} maps with {blocks} basic blocks.

{answer}

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}

## Measured

On the {images:,} images of the test set, which nothing in training and no choice saw, by the call
that the server makes, with the weights as shipped: **{accuracy:.2f} %** are right. On the {held:,}
images held out of the training set, by which the best epoch was chosen, {valid_accuracy:.2f} %.

| class | of its images, found | of its answers, right |
|---|---|---|
{rows}

Most often confused: {confused}.

| epoch | train loss | validation loss | validation accuracy |
|---|---|---|---|
{curve}

Losses are nats; in training with changed images and smoothed labels, in validation without either.

## Limits

- It knows the classes above and nothing else: any image gets one of them, often with confidence.
- It was trained on {height} x {width} pictures of one centred object each{background}. Photographs
  of several things, of things in use, or with a patterned background are classified badly.
- A probability is not calibrated: label smoothing keeps it below what it would otherwise claim.

## How this bundle was made

{commands}
"""


def classifier_card(
    *,
    name: str,
    recipe: ClassifierRecipe,
    size: tuple[int, int, int],
    parameters: int,
    test: ClassificationFigures,
    valid: ClassificationFigures,
    curve: Sequence[Mapping[str, str]],
    data: TrainingData,
    commands: Sequence[str],
) -> str:
    """CARD.md; size: (height, width, channels)."""
    height, width, channels = size
    return _CARD.format(
        name=name,
        classes=len(recipe.labels),
        height=height,
        width=width,
        channels="grey" if channels == 1 else "in colours",
        parameters=parameters,
        stem=recipe.network.stem_width,
        widths=", ".join(map(str, recipe.network.widths)),
        blocks=", ".join(map(str, recipe.network.blocks)),
        answer=_answer(recipe),
        data=data.description,
        license=data.license,
        attribution=data.attribution,
        images=test.images,
        accuracy=100 * test.accuracy,
        held=valid.images,
        valid_accuracy=100 * valid.accuracy,
        rows="\n".join(
            f"| {label} | {100 * recall:.1f} % | {100 * precision:.1f} % |"
            for label, recall, precision in zip(
                recipe.labels, test.recalls(), test.precisions(), strict=True
            )
        ),
        confused=_confused(test, recipe.labels),
        curve="\n".join(
            f"| {row['epoch']} | {float(row['train_loss']):.3f} | {float(row['valid_loss']):.3f} | "
            f"{100 * float(row['valid_accuracy']):.2f} % |"
            for row in curve
        ),
        background=", light on a dark background" if recipe.light_background else "",
        commands="\n".join(f"    {one}" for one in commands),
    )


def _answer(recipe: ClassifierRecipe) -> str:
    parts = ["Images of any size are scaled to fit, whole, in the middle of black."]
    if recipe.light_background:
        parts.append(
            "Images with a light border are negated first, its tone as black: those of training\n"
            "were light on black."
        )
    if recipe.mirror_average:
        parts.append("What is answered is the mean over the image and its mirror image.")
    return "\n".join(parts)


def _confused(figures: ClassificationFigures, labels: Sequence[str]) -> str:
    wrong: Any = figures.confusion.copy()
    wrong[range(len(labels)), range(len(labels))] = 0
    most = wrong.ravel().argsort(kind="stable")[::-1][:3]
    pairs = [divmod(int(place), len(labels)) for place in most]
    return (
        "; ".join(
            f"{labels[gold]} taken for {labels[said]} ({wrong[gold, said]})"
            for gold, said in pairs
            if wrong[gold, said]
        )
        or "nothing"
    )
