"""The images of a recipe, divided into those that are learnt, those that steer, and the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.identities import read_identities
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.omniglot import read_omniglot
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe

FINER = 2  # times the network's resolution, of images that are framed after they were changed
FEWEST_LEARNT = 4  # people; with fewer there is hardly a triplet


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """No class is in two of them.

    `train` has twice the network's resolution where the framing is "ink": its images are framed
    anew after they were changed at random, which takes pixels.
    """

    train: LabelledImages
    valid: LabelledImages
    test: LabelledImages


def read_images(
    recipe: ImageEmbedderRecipe, report: Callable[[str], None] = lambda _: None
) -> RunImages:
    """Reads and divides the images; `report` is told of files that are skipped.

    Raises:
        TrainingError: they cannot be read, or leave a part without images.
    """
    size = recipe.network.image_size
    images = _divided(recipe, size, report)
    if recipe.network.framing == "whole":
        return images
    finer = _divided(recipe, size * FINER, lambda _: None)
    return RunImages(train=finer.train, valid=images.valid, test=images.test)


def _divided(recipe: ImageEmbedderRecipe, size: int, report: Callable[[str], None]) -> RunImages:
    color, framing = recipe.network.color, recipe.network.framing
    if recipe.identities is not None:
        people = read_identities(
            recipe.identities, size=size, color=color, framing=framing, report=report
        )
        return _divided_people(people, recipe)
    images = read_omniglot(recipe.omniglot, size=size, color=color, framing=framing)
    held_out = (*recipe.valid_groups, *recipe.test_groups)
    unknown = sorted(set(held_out) - set(images.groups))
    if unknown:
        raise TrainingError(
            f"there is no alphabet {', '.join(unknown)}; there are {', '.join(images.groups)}"
        )
    learnt = tuple(name for name in images.groups if name not in held_out)
    if not learnt:
        raise TrainingError("valid_groups and test_groups leave no alphabet to learn from")
    return RunImages(
        train=images.only_groups(learnt),
        valid=images.only_groups(recipe.valid_groups),
        test=images.only_groups(recipe.test_groups),
    )


def _divided_people(people: LabelledImages, recipe: ImageEmbedderRecipe) -> RunImages:
    """By person, at random; every part has as many people as its use needs."""
    order = np.random.default_rng(recipe.seed).permutation(people.class_count)
    fewest = recipe.validation.ways
    valid = max(fewest, round(recipe.valid_share * people.class_count))
    test = max(fewest, round(recipe.test_share * people.class_count))
    learnt = people.class_count - valid - test
    if learnt < FEWEST_LEARNT:
        raise TrainingError(
            f"{recipe.identities} has {people.class_count} people with two pictures or more; "
            f"{valid} are needed to steer the training, {test} to test it and {FEWEST_LEARNT} to "
            "learn from: add people, or lower validation.ways in the recipe"
        )
    return RunImages(
        train=people.only_classes(np.sort(order[valid + test :])),
        valid=people.only_classes(np.sort(order[:valid])),
        test=people.only_classes(np.sort(order[valid : valid + test])),
    )
