"""A small data set in IDX files, and recipes for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman_models.bundle import Bundle
from dragoman_models.vision.classification.recipe import ClassifierRecipe

from .backbone_maker import mean_colour_graph, write_backbone
from .idx_writer import write_idx_folder

Recipes = Callable[..., ClassifierRecipe]


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx_folder(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="session")
def tiny_recipe(idx_folder: Path) -> Recipes:
    """A recipe with every kind of randomness that training has."""

    def make(**changes: Any) -> ClassifierRecipe:
        settings: dict[str, Any] = {
            "idx": idx_folder, "labels": ("lying", "standing", "square"), "valid_count": 24,
            "network": {"stem_width": 6, "widths": (8, 12), "blocks": (1, 1)},
            "augmentation": {"shift": 1}, "epochs": 2, "batch_size": 16, "learning_rate": 0.05,
            "average_decay": 0.8, "checkpoint_updates": 4, "precision": "fp32",
        }  # fmt: skip
        return ClassifierRecipe.model_validate({**settings, **changes})

    return make


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A backbone that gives mean colours."""
    folder = tmp_path_factory.mktemp("backbones") / "small" / "1"
    return write_backbone(folder, mean_colour_graph())
