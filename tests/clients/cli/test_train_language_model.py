"""`dragoman train language-model`: one command to train, one to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.training_commands import check_trains_once, interrupted

from dragoman_models.language_model.trainer import LanguageModelTrainer

RECIPE = """
language = "en"
train = ["text.txt"]
valid_share = 0.2
epochs = 2
batch_size = 4
bptt = 8
checkpoint_updates = 5
[network]
vocabulary_size = 20
embedding_size = 8
hidden_size = 8
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("one two three four\n" * 60, encoding="utf-8")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def arguments(recipe: Path, tmp_path: Path) -> list[str]:
    return ["train", "language-model", "--config", str(recipe), "--out", str(tmp_path / "run")]


def test_training_leaves_weights_and_logs(
    dragoman: Any, arguments: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    check_trains_once(dragoman, arguments, out, weights="best.safetensors", reports=2)


def test_an_interrupted_training_says_how_to_go_on(dragoman: Any, arguments: list[str]) -> None:
    interrupted(dragoman, arguments, LanguageModelTrainer, "_learn", update=7)
    assert dragoman(*arguments, "--resume").code == 0


def test_a_wrong_recipe_is_reported(dragoman: Any, arguments: list[str], recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("epochs = 2", "epochs = 0"), encoding="utf-8")
    done = dragoman(*arguments)
    assert done.code == 1
    assert "epochs" in done.err
