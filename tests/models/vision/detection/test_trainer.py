"""Training: that it learns, can be stopped and resumed to the bit, and refuses what is wrong."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from tests.models.stopped_training import log_rows, stop_at
from tests.models.vision.detection.voc_writer import write_annotation

from dragoman_models.errors import TrainingError
from dragoman_models.vision.detection.recipe import DetectorRecipe, read_recipe
from dragoman_models.vision.detection.run_data import RunData
from dragoman_models.vision.detection.trainer import DetectorTrainer


def recipe(discs: Path, **changes: Any) -> DetectorRecipe:
    settings: dict[str, Any] = {
        "data": discs, "held_out": 3, "backbone": "none", "frozen_parts": 0, "input_size": 64,
        "view_size": 32, "anchors": 3, "neck_channels": 8, "epochs": 2, "batch_size": 4,
        "warmup_updates": 2, "valid_epochs": 2, "checkpoint_updates": 3, "seed": 4,
        "averaging": 0.5, "precision": "fp32",
    }  # fmt: skip
    return DetectorRecipe.model_validate(settings | changes)


def silent() -> Progress:
    return Progress(disable=True)


def test_a_stopped_run_goes_on_to_the_same_weights(discs: Path, tmp_path: Path) -> None:
    whole = DetectorTrainer(recipe(discs), tmp_path / "whole").run(silent())
    trainer = DetectorTrainer(recipe(discs), tmp_path / "parts")
    stop_at(trainer, 3)
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    parts = DetectorTrainer(recipe(discs), tmp_path / "parts", resume=True)
    assert (parts.counters.epoch, parts.counters.batch, parts.counters.update) == (1, 1, 3)
    one, other = load_file(whole), load_file(parts.run(silent()))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    log = log_rows(tmp_path / "whole" / "log.csv")
    assert log == log_rows(tmp_path / "parts" / "log.csv")
    assert log[-1]["held_out_map50"]


def test_it_learns_what_it_is_shown(discs: Path, tmp_path: Path) -> None:
    trainer = DetectorTrainer(recipe(discs, warmup_updates=3, learning_rate=0.03), tmp_path / "run")
    views = [trainer._view(index) for index in range(4)]
    losses = [float(trainer._learn(views, 0.0).total.detach()) for _ in range(15)]
    assert losses[-1] < 0.75 * losses[0]


def test_frozen_parts_keep_their_weights_and_statistics(discs: Path, tmp_path: Path) -> None:
    trainer = DetectorTrainer(recipe(discs), tmp_path / "run")
    trainer.frozen = trainer.network.backbone.parts()[:2]
    for part in trainer.frozen:
        part.requires_grad_(False)
    before = {name: one.clone() for name, one in trainer.network.state_dict().items()}
    trainer._learn([trainer._view(index) for index in range(4)], 0.0)
    after = trainer.network.state_dict()
    still = ("backbone._conv_stem.", "backbone._bn0.", "backbone._blocks.0.")
    for name, value in before.items():
        if name.startswith(still):
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["backbone._blocks.1._bn1.running_mean"],
                           after["backbone._blocks.1._bn1.running_mean"])  # fmt: skip


def test_a_run_that_diverges_says_so_and_keeps_its_weights(discs: Path, tmp_path: Path) -> None:
    trainer = DetectorTrainer(recipe(discs), tmp_path / "run")
    views = [trainer._view(index) for index in range(4)]
    views[0].pixels[:] = float("inf")
    before = trainer.network.heads[0].state_dict()["predict.weight"].clone()
    with pytest.raises(TrainingError, match="training diverged at update 1"):
        trainer._learn(views, 0.0)
    assert torch.equal(before, trainer.network.heads[0].state_dict()["predict.weight"])


def test_what_was_left_out_is_written_down(discs: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(discs, data)
    write_annotation(data, "disc_00", [("dark", (5, 5, 5, 5)), ("light", (1, 1, 9, 9))], (96, 72))
    DetectorTrainer(recipe(data), tmp_path / "run")
    text = (tmp_path / "run" / "skipped.txt").read_text()
    assert text.startswith("disc_00: object 1 (dark) has no width or height")


def test_folders_and_recipes_that_do_not_fit_are_refused(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        DetectorTrainer(recipe(discs), tmp_path / "run", resume=True)
    trainer = DetectorTrainer(recipe(discs), tmp_path / "run")
    trainer.save()
    with pytest.raises(TrainingError, match="holds a training run"):
        DetectorTrainer(recipe(discs), tmp_path / "run")
    with pytest.raises(TrainingError, match="another recipe"):
        DetectorTrainer(recipe(discs, seed=5), tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="cannot read checkpoint"):
        DetectorTrainer(recipe(discs), tmp_path / "run", resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot make the folder"):
        DetectorTrainer(recipe(discs), tmp_path / "file" / "run")


def test_images_are_divided_by_the_seed_and_tested_ones_left_out(
    discs: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "test.txt"
    listed.write_text("disc_02\ndisc_07\n")
    data = RunData(recipe(discs, test=listed))
    names = [{one.name for one in part} for part in (data.train, data.held_out)]
    assert len(names[0]) == 7
    assert len(names[1]) == 3
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & {"disc_02", "disc_07"}
    other = RunData(recipe(discs, test=listed, seed=9))
    assert {one.name for one in other.held_out} != names[1]
    trained = tmp_path / "train.txt"
    trained.write_text("".join(f"disc_{number:02}\n" for number in range(12)))
    with pytest.raises(TrainingError, match="disc_02 is in the list of train too"):
        RunData(recipe(discs, test=listed, train=trained))
    with pytest.raises(TrainingError, match="leave fewer than a batch"):
        RunData(recipe(discs, held_out=9))


def test_boxes_are_scaled_with_their_image(discs: Path) -> None:
    data = RunData(recipe(discs))
    image = data.train[0]
    for _ in range(2):  # the second time from memory
        pixels, boxes = data.scaled_image(image)
        assert pixels.shape == (48, 64, 3)
        np.testing.assert_allclose(boxes, image.boxes * 64 / 96)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("held_out = 3", "data: Field required"),
        ('data = "x"\nviews = 3', "views: Extra inputs"),
        ('data = "x"\ninput_size = 100', "input_size"),
        ('data = "x"\nanchors = 4', "anchors"),
        ('data = "x"\nbackbone = "none"', "frozen_parts: without published weights"),
        ('data = "x"\n[augmentation]\nsmallest_zoom = 2.0', "smallest_zoom is above"),
        ("data = ", "cannot read the recipe"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=problem):
        read_recipe(path)


def test_paths_of_a_recipe_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('data = "cells.tar"\ntrain = "lists/train.txt"\n')
    found = read_recipe(path)
    assert found.data == tmp_path / "cells.tar"
    assert found.train == tmp_path / "lists" / "train.txt"
    assert found.test is None
