"""The card of an image embedder's bundle: data, licence, attribution, figures, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman_models.vision.verification.measure import TestFigures, TrainedRun
from dragoman_models.vision.verification.one_shot import OneShotFigures, Protocol
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a model was trained on, as its card has to say."""

    description: str
    license: str
    attribution: str
    test_note: str = "by which nothing was chosen"  # of the classes that were tested on


_CARD = """\
# {name}: image embedder

A residual convolutional network that turns an image into a vector of {dimensions} numbers and
length 1; the nearer two vectors, the likelier their images show the same {what}. {parameters:,}
parameters, stored in 16 bits: {size} x {size} pixels ({color}; {reads}), a stem of {stem}
channels, stages of {stages}. Trained by triplet loss: {loss}.

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}
- Learnt: {learnt}.
- Steered and calibrated by: {valid}.
- Tested on: {test}, {test_note}.

## Measured

With the 16-bit weights as shipped, on classes that training never saw. A one-shot run shows one
image each of {ways} classes and asks for the class of one further image of each.

| {ways}-way one-shot | runs | error | standard deviation of a run | of the mean |
|---|---|---|---|---|
{one_shot}

{protocols}

Two images are taken for the same within a distance of **{threshold:.4f}**. There, false acceptance
and false rejection of what steered are equal ({valid_equal:.2%}, all pairs within a group).

| all pairs | of one class | of two | equal error | rejected at 1 % false acceptance | at the \
threshold: false acceptance | false rejection |
|---|---|---|---|---|---|---|
{verification}

`roc.png` draws the trade-off. Learning curve: the best of {rows} trials during {updates:,} updates
found {best:.2%} in the runs that steered the training.

## Limits

{limits}

## How this bundle was made

{commands}
"""

_READS = {"whole": "the whole image", "ink": "what is drawn, at one size"}

_DRAWING_LIMITS = """\
- It knows single handwritten characters as Omniglot has them: thin dark strokes on white, drawn
  online, filling much of a square. Photographs of paper, small characters in a large image, light
  on dark, print and words were not in its training; crop and clean them first.
- Alphabets differ: letters that only a small bow tells apart lose it when they are reduced, so
  errors on ornate writing are far above those on plain letters. The figures above are means over
  what was tested on.
- A character and the same turned by a quarter are two classes to it; it says nothing of what a
  character means, and does not know hands or signatures: it must not be used to identify people.
- The threshold fits pairs of one alphabet. Where other errors cost more, choose it by the curve."""

_PEOPLE_LIMITS = """\
- It knows pictures like those it was trained on, in their alignment, light and resolution, and
  people like those in them: rates differ between groups of people, and were not measured for each.
- Vectors of people's pictures are biometric data, whose use the law restricts in many places. Do
  not decide about people by them alone.
- The threshold fits the people it was calibrated with. Where other errors cost more, choose it by
  the curve."""

_PROTOCOLS = """\
*Within*: the classes of a run are characters of one alphabet, all references by one drawer and all
queries by another, as in Lake, Salakhutdinov and Tenenbaum (2015), whose own 20 runs are not among
these. *Mixed*: classes of all test alphabets, the two images of each by any two drawers: easier.
The modified Hausdorff distance (Dubuisson and Jain 1994) is measured on the same runs."""

_MIXED = "The classes of a run are drawn from all people, and any two pictures of each."


def image_embedder_card(
    run: TrainedRun,
    figures: TestFigures,
    *,
    name: str,
    data: TrainingData,
    parts: Sequence[str],
    commands: Sequence[str],
) -> str:
    """CARD.md; `parts` says what was learnt, what steered, and what was tested on."""
    recipe, network = run.recipe, run.recipe.network
    drawings = recipe.identities is None
    best = max(run.curve, key=lambda row: float(row["valid_accuracy"]))
    return _CARD.format(
        name=name,
        what="character" if drawings else "person",
        dimensions=network.dimensions,
        parameters=run.parameter_count,
        size=network.image_size,
        color=network.color,
        stem=network.stem,
        stages=", ".join(map(str, network.stages)),
        loss=_loss(recipe),
        reads=_READS[network.framing],
        data=data.description,
        license=data.license,
        attribution=data.attribution,
        learnt=parts[0],
        valid=parts[1],
        test=parts[2],
        test_note=data.test_note,
        ways=next(iter(figures.one_shot.values())).ways,
        one_shot=_one_shot_rows(figures),
        protocols=_PROTOCOLS if drawings else _MIXED,
        threshold=figures.threshold,
        valid_equal=figures.valid_equal.rate,
        verification="\n".join(
            f"| {protocol} | {one.pairs_same:,} | {one.pairs_different:,} | {one.equal.rate:.2%} | "
            f"{one.rejected_at_one_percent:.2%} | {one.false_acceptance:.2%} | "
            f"{one.false_rejection:.2%} |"
            for protocol, one in figures.verification.items()
        ),
        rows=len(run.curve),
        updates=int(run.curve[-1]["update"]),
        best=float(best["valid_accuracy"]),
        limits=_DRAWING_LIMITS if drawings else _PEOPLE_LIMITS,
        commands="\n".join(f"    {one}" for one in commands),
    )


def _loss(recipe: ImageEmbedderRecipe) -> str:
    how = f"{recipe.mining.replace('_', '-')} mining, margin {recipe.margin} on {recipe.distance}"
    if not recipe.invented_classes:
        return f"{how} distances"
    share = f"{recipe.invented_classes} of the {recipe.classes_per_batch} classes of each batch"
    return f"{how} distances; {share} were characters invented from random strokes, in families"


def _one_shot_rows(figures: TestFigures) -> str:
    rows = [_row(protocol, "this model", one) for protocol, one in figures.one_shot.items()]
    rows += [
        _row(protocol, "modified Hausdorff", one) for protocol, one in figures.baseline.items()
    ]
    return "\n".join(rows)


def _row(protocol: Protocol, what: str, one: OneShotFigures) -> str:
    return (
        f"| {protocol}, {what} | {one.episodes:,} | {1 - one.accuracy:.2%} | {one.deviation:.2%} | "
        f"{one.standard_error:.2%} |"
    )
