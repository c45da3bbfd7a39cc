"""`dragoman train image-embedder`: one command to train, one to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dragoman_models.vision.verification.trainer import ImageEmbedderTrainer

RECIPE = """
updates = 6
classes_per_batch = 4
images_per_class = 2
mining = "semi_hard"
checkpoint_updates = 2
[network]
image_size = 8
color = "rgb"
stem = 4
stages = [4]
dimensions = 4
[validation]
every_updates = 3
protocol = "mixed"
ways = 2
episodes = 5
"""


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    for person in range(9):
        folder = tmp_path / "people" / f"p{person}"
        folder.mkdir(parents=True)
        for number in range(2):
            color = (person * 25, 255 - person * 25, 100 + number)
            Image.new("RGB", (12, 12), color).save(folder / f"{number}.png")
    (tmp_path / "people/p0/cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    options = ["--config", str(path), "--identities", str(tmp_path / "people")]
    return ["train", "image-embedder", *options, "--out", str(tmp_path / "run")]


def test_training_leaves_weights_and_a_log(
    dragoman: Any, arguments: list[str], tmp_path: Path
) -> None:
    done = dragoman(*arguments)
    assert (done.code, done.out) == (0, f"{tmp_path / 'run/best.safetensors'}\n")
    assert "skipped" in done.err
    assert "cut.png" in done.err.replace("\n", "")
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 3
    again = dragoman(*arguments)
    assert again.code == 1
    assert "give --resume or another folder" in again.err


def test_an_interrupted_training_says_how_to_go_on(
    dragoman: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = ImageEmbedderTrainer._learn

    def interrupted(self: ImageEmbedderTrainer) -> float:
        if self.update == 3:
            raise KeyboardInterrupt
        return learn(self)

    with monkeypatch.context() as patch:
        patch.setattr(ImageEmbedderTrainer, "_learn", interrupted)
        done = dragoman(*arguments)
    assert done.code == 130
    assert f"go on with: dragoman {' '.join(arguments)} --resume" in done.err
    assert dragoman(*arguments, "--resume").code == 0


def test_a_training_of_nothing_and_a_wrong_recipe_are_reported(
    dragoman: Any, arguments: list[str], tmp_path: Path
) -> None:
    nothing = dragoman("train", "image-embedder", "--out", str(tmp_path / "run"))
    assert nothing.code == 1
    assert "give --config RECIPE, --identities DIR, or both" in nothing.err
    wrong = RECIPE.replace("stages = [4]", "stages = [4, 4, 4, 4]")
    (tmp_path / "recipe.toml").write_text(wrong, encoding="utf-8")
    done = dragoman(*arguments)
    assert done.code == 1
    assert "4 stages leave nothing of 8 pixels" in done.err.replace("\n", " ")
