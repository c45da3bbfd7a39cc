"""The images of a recipe, divided into those that are learnt, those that steer, and the test's."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.omniglot import read_omniglot
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """No class is in two of them."""

    train: LabelledImages
    valid: LabelledImages
    test: LabelledImages


def read_images(recipe: ImageEmbedderRecipe) -> RunImages:
    """Reads and divides the images.

    Raises:
        TrainingError: they cannot be read, or leave a part without images.
    """
    size, color = recipe.network.image_size, recipe.network.color
    images = read_omniglot(recipe.omniglot, size=size, color=color)
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
