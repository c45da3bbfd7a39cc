"""`dragoman train language-model`: one command to train, one to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


def test_training_leaves_weights_and_logs(dragoman: Any, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = dragoman("train", "language-model", "--config", str(recipe), "--out", str(out))
    assert (done.code, done.out) == (0, f"{out / 'best.safetensors'}\n")
    assert len((out / "log.csv").read_text().splitlines()) == 3
    again = dragoman("train", "language-model", "--config", str(recipe), "--out", str(out))
    assert again.code == 1
    assert "give --resume or another folder" in again.err


def test_an_interrupted_training_says_how_to_go_on(
    dragoman: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "language-model", "--config", str(recipe), "--out", str(out)]
    learn = LanguageModelTrainer._learn

    def interrupted(self: LanguageModelTrainer, begin: int, end: int, done: float) -> float:
        if self.counters.update == 7:
            raise KeyboardInterrupt
        return learn(self, begin, end, done)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelTrainer, "_learn", interrupted)
        done = dragoman(*arguments)
    assert done.code == 130
    assert f"go on with: dragoman {' '.join(arguments)} --resume" in done.err
    assert dragoman(*arguments, "--resume").code == 0


def test_a_wrong_recipe_is_reported(dragoman: Any, recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace("epochs = 2", "epochs = 0"), encoding="utf-8")
    done = dragoman(
        "train", "language-model", "--config", str(recipe), "--out", str(tmp_path / "r")
    )
    assert done.code == 1
    assert "epochs" in done.err
