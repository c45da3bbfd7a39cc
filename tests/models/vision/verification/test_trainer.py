"""Training: it learns to tell unseen classes apart, resumes exactly, and refuses what it cannot."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from rich.progress import Progress
from safetensors.torch import load_file
from tests.models.vision.verification.conftest import SETTINGS

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe
from dragoman_models.vision.verification.run_images import read_images
from dragoman_models.vision.verification.trainer import ImageEmbedderTrainer

Recipes = Callable[..., ImageEmbedderRecipe]


def run(recipe: ImageEmbedderRecipe, folder: Path, *, resume: bool = False) -> ImageEmbedderTrainer:
    trainer = ImageEmbedderTrainer(recipe, read_images(recipe), folder, resume=resume)
    trainer.run(Progress(disable=True))
    return trainer


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_alphabets_that_were_not_learnt_are_told_apart(
    tmp_path: Path, make_recipe: Recipes
) -> None:
    recipe = make_recipe(updates=80, validation={"every_updates": 40, "ways": 6, "episodes": 60})
    untrained = ImageEmbedderTrainer(recipe, read_images(recipe), tmp_path / "none")
    trained = run(recipe, tmp_path / "run")
    assert trained.valid_accuracy() > max(0.6, untrained.valid_accuracy() + 0.1)  # chance: 1/6
    trained.average.module.load_state_dict(load_file(tmp_path / "run/best.safetensors"))
    assert trained.valid_accuracy() == trained.best_accuracy
    assert trained.best_accuracy == pytest.approx(
        max(float(row["valid_accuracy"]) for row in rows(tmp_path / "run")), abs=1e-5
    )


class StoppedError(Exception):
    """The process dies here."""


INK = {**SETTINGS["network"], "framing": "ink"}


@pytest.mark.parametrize(
    ("stop", "changes"), [(6, {}), (18, {"network": INK, "invented_share": 0.4})]
)
def test_a_resumed_run_has_the_same_curve_and_weights(
    tmp_path: Path, make_recipe: Recipes, stop: int, changes: dict[str, Any]
) -> None:
    recipe = make_recipe(
        mining="batch_hard", semi_hard_updates=12, dropout=0.1, checkpoint_updates=5, updates=22,
        class_augmentation={"shear": 0.3, "flip": True}, **changes,
    )  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = run(recipe, whole)
    dying = ImageEmbedderTrainer(recipe, read_images(recipe), broken)
    learn = dying._learn

    def until_stop() -> float:
        if dying.update == stop:
            raise StoppedError
        return learn()

    dying._learn = until_stop  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        dying.run(Progress(disable=True))
    second = run(recipe, broken, resume=True)
    assert rows(whole) == rows(broken)
    assert (whole / "best.safetensors").read_bytes() == (broken / "best.safetensors").read_bytes()
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, second.network.state_dict()[name]), name


def test_a_batch_holds_invented_classes_of_its_own(tmp_path: Path, make_recipe: Recipes) -> None:
    recipe = make_recipe(network=INK, invented_share=0.4)
    batch = ImageEmbedderTrainer(recipe, read_images(recipe), tmp_path)._batch()
    assert batch.images.shape == (36, 1, 16, 16)
    assert torch.equal(batch.classes, torch.arange(12).repeat_interleave(3))
    for images in (batch.images[:21], batch.images[21:]):  # 5 of 12 are invented
        inked = images.amin(dim=(1, 2)) < 0.6  # (N, 16): columns
        assert not inked[:, [0, 15]].any()  # the margin is 1
        assert (inked.sum(dim=1) > 1).all()


def test_invented_characters_are_for_drawings_framed_by_ink(make_recipe: Recipes) -> None:
    with pytest.raises(ValidationError, match="needs a network of color"):
        make_recipe(invented_share=0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_groups": ("Zulu",)}, "there is no alphabet Zulu; there are Alfa, Bravo"),
        ({"valid_groups": ("Alfa", "Bravo", "Delta")}, "leave no alphabet to learn from"),
        ({"validation": {"ways": 7}}, "7-way runs within a group need one of 7 classes"),
        ({"learning_rate": 1e30}, "training diverged at update"),
    ],
)
def test_what_cannot_be_trained_is_named(
    tmp_path: Path, make_recipe: Recipes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        run(make_recipe(**changes), tmp_path / "run")


def test_folders_of_other_runs_are_refused(tmp_path: Path, make_recipe: Recipes) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        run(make_recipe(), tmp_path / "run", resume=True)
    run(make_recipe(updates=2), tmp_path / "run")
    with pytest.raises(TrainingError, match="give --resume or another folder"):
        run(make_recipe(updates=2), tmp_path / "run")
    with pytest.raises(TrainingError, match="begun with another recipe"):
        run(make_recipe(updates=2, margin=0.5), tmp_path / "run", resume=True)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrainingError, match="cannot make the folder"):
        run(make_recipe(), tmp_path / "file" / "run")
