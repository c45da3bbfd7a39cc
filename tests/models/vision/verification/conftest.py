"""Drawings of made alphabets, in a zip archive as Omniglot's; and recipes for them."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe

ALPHABETS = ("Alfa", "Bravo", "Delta", "Echo")
CHARACTERS, DRAWERS, SIDE = 6, 5, 40


def drawn(character: str, drawer: int) -> bytes:
    """A polyline that is the character's own, with an unsteady hand, as 1-bit PNG."""
    of_character, of_drawer = random.Random(character), random.Random(f"{character}/{drawer}")
    points = [
        (
            of_character.uniform(6, SIDE - 6) + of_drawer.gauss(0, 1.2),
            of_character.uniform(6, SIDE - 6) + of_drawer.gauss(0, 1.2),
        )
        for _ in range(5)
    ]
    image = Image.new("1", (SIDE, SIDE), 1)
    ImageDraw.Draw(image).line(points, fill=0, width=2)
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("omniglot") / "drawings.zip"
    with zipfile.ZipFile(path, "w") as files:
        for alphabet in ALPHABETS:
            for number in range(CHARACTERS):
                for drawer in range(DRAWERS):
                    name = f"set/{alphabet}/character{number:02}/00{number}_{drawer:02}.png"
                    files.writestr(name, drawn(f"{alphabet}{number}", drawer))
    return path


SETTINGS: dict[str, Any] = {
    "valid_groups": ("Delta",),
    "test_groups": ("Echo",),
    "network": {"image_size": 16, "stem": 8, "stages": (12, 16), "dimensions": 8},
    "validation": {"every_updates": 10, "ways": 6, "episodes": 20},
    "mining": "semi_hard",
    "distance": "squared",
    "margin": 0.4,
    "classes_per_batch": 12,
    "images_per_class": 3,
    "quarter_turns": True,
    "group_share": 0.3,
    "updates": 30,
    "learning_rate": 4e-3,
    "warmup_updates": 5,
    "average_decay": 0.9,
    "checkpoint_updates": 7,
    "precision": "fp32",
}


@pytest.fixture
def make_recipe(archive: Path) -> Callable[..., ImageEmbedderRecipe]:
    """Recipes for the archive, with settings changed by name."""

    def make(**changes: Any) -> ImageEmbedderRecipe:
        return ImageEmbedderRecipe.model_validate({"omniglot": (archive,), **SETTINGS, **changes})

    return make
