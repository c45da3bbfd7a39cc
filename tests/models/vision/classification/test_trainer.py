"""Training a classifier: it learns, it resumes exactly, it refuses what it cannot train on."""

from pathlib import Path

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from tests.models.stopped_training import log_rows, stop_at

from dragoman_models.errors import TrainingError
from dragoman_models.vision.classification.recipe import ClassifierRecipe, read_recipe
from dragoman_models.vision.classification.trainer import ClassifierTrainer

from .conftest import Recipes


def run(recipe: ClassifierRecipe, folder: Path, *, resume: bool = False) -> ClassifierTrainer:
    trainer = ClassifierTrainer(recipe, folder, resume=resume)
    trainer.run(Progress(disable=True))
    return trainer


def test_it_learns_shapes_it_has_not_seen(tmp_path: Path, tiny_recipe: Recipes) -> None:
    recipe = tiny_recipe(epochs=12, augmentation={"shift": 1, "mirror": True, "erase_share": 0.0})
    trainer = run(recipe, tmp_path / "run")
    assert trainer.counters.best_accuracy > 0.8  # chance: a third
    assert (tmp_path / "run/curve.png").read_bytes()[:4] == b"\x89PNG"
    assert [row["epoch"] for row in log_rows(tmp_path / "run/log.csv")] == [
        str(n) for n in range(1, 13)
    ]


@pytest.mark.parametrize(("stop", "precision"), [(5, "fp32"), (10, "bf16")])
def test_a_resumed_run_has_the_same_curve_and_weights(
    tmp_path: Path, tiny_recipe: Recipes, stop: int, precision: str
) -> None:
    recipe = tiny_recipe(precision=precision)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = run(recipe, whole)
    stop_at(ClassifierTrainer(recipe, broken), stop)
    second = run(recipe, broken, resume=True)
    assert log_rows(whole / "log.csv") == log_rows(broken / "log.csv")
    assert first.counters.update == second.counters.update == 2 * len(first.batches())
    torch.testing.assert_close(
        dict(second.network.state_dict()), dict(first.network.state_dict()), rtol=0, atol=0
    )
    best = load_file(whole / "best.safetensors"), load_file(broken / "best.safetensors")
    torch.testing.assert_close(best[0], best[1], rtol=0, atol=0)


def test_folders_of_other_runs_are_refused(tmp_path: Path, tiny_recipe: Recipes) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        ClassifierTrainer(tiny_recipe(), tmp_path / "run", resume=True)
    stop_at(ClassifierTrainer(tiny_recipe(), tmp_path / "run"), 5)
    with pytest.raises(TrainingError, match="give --resume or another folder"):
        ClassifierTrainer(tiny_recipe(), tmp_path / "run")
    with pytest.raises(TrainingError, match="another recipe"):
        ClassifierTrainer(tiny_recipe(learning_rate=0.01), tmp_path / "run", resume=True)
    checkpoint = tmp_path / "run/checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot read checkpoint"):
        ClassifierTrainer(tiny_recipe(), tmp_path / "run", resume=True)


def test_too_little_data_is_refused(tmp_path: Path, tiny_recipe: Recipes) -> None:
    with pytest.raises(TrainingError, match=r"valid_count 120 of 120 images"):
        ClassifierTrainer(tiny_recipe(valid_count=120), tmp_path / "a")
    with pytest.raises(TrainingError, match="batch_size 100 is more than the 96 images"):
        ClassifierTrainer(tiny_recipe(batch_size=100), tmp_path / "b")


def test_divergence_is_said_and_leaves_the_checkpoint(tmp_path: Path, tiny_recipe: Recipes) -> None:
    recipe = tiny_recipe(learning_rate=1e30, warmup_share=0.01, epochs=20)
    with pytest.raises(TrainingError, match=r"diverged at update \d+; lower learning_rate"):
        run(recipe, tmp_path / "run")


def test_what_is_held_out_is_never_learnt_from(tmp_path: Path, tiny_recipe: Recipes) -> None:
    trainer = ClassifierTrainer(tiny_recipe(), tmp_path / "run")
    train = {image.tobytes() for image in trainer.train.pixels}
    valid = {image.tobytes() for image in trainer.valid.pixels}
    assert (len(train), len(valid)) == (96, 24)
    assert not train & valid


def test_recipes_that_are_wrong_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('idx = "x"\nlabels = ["a", "a"]\n')
    with pytest.raises(TrainingError, match="labels must be different"):
        read_recipe(path)
    path.write_text('idx = "x"\nlabels = ["a", "b"]\nlearning_rat = 1\n')
    with pytest.raises(TrainingError, match="learning_rat: Extra inputs"):
        read_recipe(path)
    path.write_text('idx = "x"\nlabels = ["a", "b"]\n')
    assert read_recipe(path).idx == tmp_path / "x"
