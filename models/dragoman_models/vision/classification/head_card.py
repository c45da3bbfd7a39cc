"""The card of a classifier whose head was trained on an imported backbone."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman_models.bundle import Bundle
from dragoman_models.vision.classification.measure import ClassificationFigures

_CARD = """\
# {name}: image classifier, {classes} classes

A linear head over the features of the backbone of {base} (version {version}), which was not trained
further: its card, which says where it comes from and what its licence is, holds for this bundle
too. What is answered is the mean over the image and its mirror image.

## Data, licence and attribution

- The head was trained on: {data}; {train:,} images, and their mirror images
- Licence of the data: {license}
- Attribution: {attribution}

## Measured

{measured}: **{accuracy:.2f} %** of {images:,} images are right.

| class | images | found | of its answers, right |
|---|---|---|---|
{rows}

## Limits

- It knows the classes above and nothing else: any image gets one of them.
- The images measured on were drawn from the same folder as those of training. Where several images
  show one thing, or come from one camera, images from elsewhere are classified worse than these.

## How this bundle was made

    {command}
"""

_MEASURED = {
    "test": "On images of each class that were kept apart, and by which nothing was chosen",
    "valid": "On the {valid:,} images by which the penalty was chosen, so a little too well",
}


def head_card(
    *,
    name: str,
    base: Bundle,
    labels: Sequence[str],
    counts: tuple[int, int, int],
    figures: ClassificationFigures,
    measured_on: str,
    data: tuple[str, str, str],
    command: str,
) -> str:
    """CARD.md; counts: images to learn from, to choose by, to measure on; data: what it is, its
    licence, whom to name."""
    rows = zip(
        labels, figures.confusion.sum(axis=1), figures.recalls(), figures.precisions(), strict=True
    )
    return _CARD.format(
        name=name,
        classes=len(labels),
        base=base.name,
        version=base.version,
        data=data[0],
        license=data[1],
        attribution=data[2],
        train=counts[0],
        measured=_MEASURED[measured_on].format(valid=counts[1]),
        accuracy=100 * figures.accuracy,
        images=figures.images,
        rows="\n".join(
            f"| {label} | {count} | {_percent(recall)} | {_percent(precision)} |"
            for label, count, recall, precision in rows
        ),
        command=command,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share == share else "-"  # NaN: a share of nothing
