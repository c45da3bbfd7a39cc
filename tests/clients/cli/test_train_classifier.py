"""`dragoman train classifier`: one command to train, one to go on."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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


def test_training_leaves_weights_and_logs(dragoman: Any, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = dragoman("train", "classifier", "--config", str(recipe), "--out", str(out))
    assert (done.code, done.out) == (0, f"{out / 'best.safetensors'}\n")
    assert len((out / "log.csv").read_text().splitlines()) == 3
    again = dragoman("train", "classifier", "--config", str(recipe), "--out", str(out))
    assert again.code == 1
    assert "give --resume or another folder" in again.err


def test_an_interrupted_training_says_how_to_go_on(
    dragoman: Any, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "classifier", "--config", str(recipe), "--out", str(out)]
    learn = ClassifierTrainer.learn

    def interrupted(self: ClassifierTrainer, batch: NDArray[np.int64]) -> float:
        if self.counters.update == 5:
            raise KeyboardInterrupt
        return learn(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(ClassifierTrainer, "learn", interrupted)
        done = dragoman(*arguments)
    assert done.code == 130
    assert f"go on with: dragoman {' '.join(arguments)} --resume" in done.err
    assert dragoman(*arguments, "--resume").code == 0
    assert len((out / "log.csv").read_text().splitlines()) == 3


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
