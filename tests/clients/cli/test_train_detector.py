"""`dragoman train detector`: one command to train, one to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.clients.cli.training_commands import interrupted

from dragoman_models.vision.detection.trainer import DetectorTrainer

RECIPE = """
data = "cells"
held_out = 2
backbone = "none"
frozen_parts = 0
input_size = 32
view_size = 32
anchors = 3
neck_channels = 8
epochs = 1
batch_size = 4
checkpoint_updates = 1
"""
ANNOTATION = """
<annotation><object><name>cell</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>{right}</xmax>
<ymax>{bottom}</ymax></bndbox></object>{more}</annotation>
"""
NOTHING = (
    "<object><name>cell</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax>"
    "</bndbox></object>"
)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folders = [tmp_path / "cells" / name for name in ("Annotations", "JPEGImages")]
    for folder in folders:
        folder.mkdir(parents=True)
    for number in range(10):
        right, bottom = 12 + number, 28 - number
        pixels = np.full((40, 40, 3), 60, dtype=np.uint8)
        pixels[5:bottom, 4:right] = 200
        Image.fromarray(pixels).save(folders[1] / f"{number}.png")
        (folders[0] / f"{number}.xml").write_text(
            ANNOTATION.format(right=right, bottom=bottom, more=NOTHING if number == 3 else "")
        )
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_training_names_what_it_skips_and_can_be_interrupted_and_resumed(
    dragoman: Any, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "detector", "--config", str(recipe), "--out", str(out)]
    stopped = interrupted(dragoman, arguments, DetectorTrainer, "learn", update=1)
    assert "warning: 3: object 2 (cell) has no width or height" in stopped.err
    again = dragoman(*arguments)
    assert again.code == 1
    assert "give --resume or another folder" in again.err
    done = dragoman(*arguments, "--resume")
    assert (done.code, done.out) == (0, f"{out / 'weights.safetensors'}\n")
    assert len((out / "log.csv").read_text().splitlines()) == 2


def test_a_wrong_recipe_is_told(dragoman: Any, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('data = "nowhere"\nbackbone = "none"\nfrozen_parts = 0\n')
    failed = dragoman("train", "detector", "--config", str(path), "--out", str(tmp_path / "run"))
    assert failed.code == 1
    assert "cannot read the data set" in failed.err
