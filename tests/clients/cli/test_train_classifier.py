"""`dragoman train classifier`: one command to train, one to go on."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.clients.cli.training_commands import check_trains_once, interrupted

from dragoman_models.vision.classification.trainer import ClassifierTrainer

RECIPE = """
idx = "data"
labels = ["dark", "light"]
valid_count = 8
epochs = 2
batch_size = 8
checkpoint_updates = 2
[network]
stem_width = 4
widths = [4]
blocks = [1]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    labels = np.arange(40, dtype=np.uint8) % 2
    images = np.zeros((40, 6, 6), np.uint8) + 200 * labels[:, None, None]
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        head = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        (folder / f"train-{name}-ubyte").write_bytes(head + values.astype(np.uint8).tobytes())
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def arguments(recipe: Path, tmp_path: Path) -> list[str]:
    return ["train", "classifier", "--config", str(recipe), "--out", str(tmp_path / "run")]


def test_training_leaves_weights_and_logs(
    dragoman: Any, arguments: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    check_trains_once(dragoman, arguments, out, weights="best.safetensors", reports=2)


def test_an_interrupted_training_says_how_to_go_on(
    dragoman: Any, arguments: list[str], tmp_path: Path
) -> None:
    interrupted(dragoman, arguments, ClassifierTrainer, "learn", update=5)
    assert dragoman(*arguments, "--resume").code == 0
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 3


def test_what_is_trained_on_must_be_said(dragoman: Any, recipe: Path, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "run"))
    neither = dragoman("train", "classifier", *out)
    both = dragoman("train", "classifier", *out, "--config", str(recipe), "--images", str(tmp_path))
    for done in (neither, both):
        assert done.code == 2
        assert "give one of --config and --images" in done.err
    bare = dragoman("train", "classifier", *out, "--images", str(tmp_path))
    assert bare.code == 2
    assert "--backbone" in bare.err
