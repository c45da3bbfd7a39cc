"""Training: it learns, it resumes exactly, and it refuses what it cannot train on."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from tests.models.stopped_training import log_rows, stop_at

from dragoman_models.errors import TrainingError
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.trainer import LanguageModelTrainer
from dragoman_models.language_model.weight_average import WeightAverage, stopped_falling

Recipes = Callable[..., LanguageModelRecipe]


def run(recipe: LanguageModelRecipe, folder: Path, *, resume: bool = False) -> LanguageModelTrainer:
    trainer = LanguageModelTrainer(recipe, folder, resume=resume)
    trainer.run(Progress(disable=True))
    return trainer


@pytest.mark.parametrize(
    ("cell", "precision"),
    [
        ("rnn", "fp32"),
        ("simple_gru", "fp32"),
        *[(c, "bf16") for c in ("gru", "lstm", "mogrifier_lstm")],
    ],
)
def test_every_cell_learns(
    tmp_path: Path, tiny_recipe: Recipes, cell: str, precision: Literal["fp32", "bf16"]
) -> None:
    counting = tmp_path / "counting.txt"
    counting.write_text("one two three four five six seven eight\n" * 150, encoding="utf-8")
    recipe = tiny_recipe(
        train=(counting,), network={"cell": cell, "mogrifier_rounds": 2}, precision=precision,
        dropout={"hidden": 0.0, "output": 0.0}, activation_penalty=0.0, temporal_penalty=0.0,
        learning_rate=0.03, clip_norm=1.0, epochs=8,
    )  # fmt: skip
    trainer = run(recipe, tmp_path / "run")
    assert trainer.counters.best_loss < 0.5 * math.log(trainer.vocabulary.size)  # all tokens alike
    assert log_rows(tmp_path / "run/log.csv")[-1]["epoch"] == "8"


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam", "reset_share": 0.3},
        {
            "optimizer": "sgd", "averaging": "from_start", "schedule": "constant",
            "learning_rate": 3.0, "network": {"cell": "gru", "adaptive_cutoffs": (10, 30)},
        },
    ],
)  # fmt: skip
@pytest.mark.parametrize("stop", [9, 19])
def test_a_resumed_run_has_the_same_curve_and_weights(
    tmp_path: Path, tiny_recipe: Recipes, changes: dict[str, Any], stop: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = run(tiny_recipe(**changes), whole)
    assert first.counters.update > stop
    stop_at(LanguageModelTrainer(tiny_recipe(**changes), broken), stop, step="_learn")
    second = run(tiny_recipe(**changes), broken, resume=True)
    for name in ("log.csv", "updates.csv"):
        assert log_rows(whole / name) == log_rows(broken / name)
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, second.network.state_dict()[name]), name
    assert (whole / "best.safetensors").read_bytes() == (broken / "best.safetensors").read_bytes()


def test_the_best_weights_are_those_that_gave_the_best_loss(
    tmp_path: Path, tiny_recipe: Recipes
) -> None:
    trainer = run(tiny_recipe(averaging="from_start", epochs=3), tmp_path / "run")
    trainer.average = WeightAverage()
    trainer.network.load_state_dict(load_file(tmp_path / "run/best.safetensors"))
    assert trainer.valid_loss() == pytest.approx(trainer.counters.best_loss, rel=1e-5)
    assert trainer.counters.best_loss == min(trainer.counters.valid_losses)
    assert (tmp_path / "run/loss.png").stat().st_size > 0


def test_a_share_of_the_columns_begins_anew(tmp_path: Path, tiny_recipe: Recipes) -> None:
    trainer = LanguageModelTrainer(tiny_recipe(reset_share=0.25, batch_size=4), tmp_path / "run")
    fresh = []
    for _ in range(200):
        trainer.state = tuple(
            tuple(torch.ones_like(part) for part in layer) for layer in trainer.state
        )
        trainer._reset_some()
        rows = torch.stack([part.mean(dim=1) for layer in trainer.state for part in layer])
        assert ((rows == 0) | (rows == 1)).all()
        assert (rows == rows[0]).all()  # a column begins anew in all layers or in none
        fresh.append(float((rows[0] == 0).float().mean()))
    assert sum(fresh) / 200 == pytest.approx(0.25, abs=0.08)  # five deviations


def test_a_run_can_begin_with_the_weights_of_another(tmp_path: Path, tiny_recipe: Recipes) -> None:
    first = run(tiny_recipe(epochs=2), tmp_path / "first")
    second = LanguageModelTrainer(
        tiny_recipe(continue_from=tmp_path / "first", seed=5), tmp_path / "second"
    )
    assert second.valid_loss() == pytest.approx(first.counters.best_loss, rel=1e-5)
    other_sizes = tiny_recipe(continue_from=tmp_path / "first", network={"cell": "gru"})
    with pytest.raises(TrainingError, match="continue_from: cannot begin with"):
        LanguageModelTrainer(other_sizes, tmp_path / "third")


def test_weight_average_is_the_mean() -> None:
    layer, average = torch.nn.Linear(2, 2), WeightAverage()
    seen = []
    for value in (1.0, 2.0, 6.0):
        torch.nn.init.constant_(layer.weight, value)
        average.add(layer)
        seen.append(value)
    with average.in_place(layer):
        torch.testing.assert_close(layer.weight, torch.full((2, 2), sum(seen) / 3))
    torch.testing.assert_close(layer.weight, torch.full((2, 2), 6.0))


def test_non_monotone_trigger() -> None:
    assert not stopped_falling([5.0, 4.0, 3.0, 3.5], 5)
    assert not stopped_falling([5.0, 4.0, 3.0, 2.0], 2)
    assert stopped_falling([5.0, 2.0, 3.0, 2.5], 2)
    assert not stopped_falling([5.0, 4.0, 1.0, 2.5], 2)  # the best is too recent to count


def test_penalties_follow_their_definition(tmp_path: Path, tiny_recipe: Recipes) -> None:
    trainer = LanguageModelTrainer(
        tiny_recipe(activation_penalty=2.0, temporal_penalty=3.0), tmp_path / "run"
    )
    outputs = trainer.network(trainer.inputs[:4], trainer.state)
    steps = [(outputs.raw[t + 1] - outputs.raw[t]).pow(2).mean() for t in range(3)]
    expected = 2 * (outputs.dropped**2).mean() + 3 * sum(steps) / 3
    torch.testing.assert_close(trainer._penalties(outputs), expected)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path, tiny_recipe: Recipes) -> None:
    run(tiny_recipe(epochs=1), tmp_path / "run")
    with pytest.raises(TrainingError, match="give --resume or another folder"):
        LanguageModelTrainer(tiny_recipe(epochs=1), tmp_path / "run")
    with pytest.raises(TrainingError, match="another recipe"):
        LanguageModelTrainer(tiny_recipe(epochs=1, bptt=9), tmp_path / "run", resume=True)
    with pytest.raises(TrainingError, match="nothing to resume"):
        LanguageModelTrainer(tiny_recipe(), tmp_path / "none", resume=True)


def test_divergence_is_reported_before_the_weights_are_touched(
    tmp_path: Path, tiny_recipe: Recipes
) -> None:
    trainer = LanguageModelTrainer(tiny_recipe(), tmp_path / "run")
    with torch.no_grad():
        trainer.network.output_bias.fill_(float("nan"))
    before = trainer.network.embedding.clone()
    with pytest.raises(TrainingError, match="diverged at update 1"):
        trainer.run(Progress(disable=True))
    assert torch.equal(before, trainer.network.embedding)


def test_cutoffs_beyond_the_texts_vocabulary_are_refused(
    tmp_path: Path, tiny_recipe: Recipes
) -> None:
    recipe = tiny_recipe(network={"adaptive_cutoffs": (20, 99)})
    with pytest.raises(TrainingError, match="adaptive_cutoffs must rise"):
        LanguageModelTrainer(recipe, tmp_path / "run")


@pytest.mark.parametrize("vocabulary", ["characters", "subwords"])
def test_other_vocabularies_train_and_are_kept_in_the_folder(
    tmp_path: Path, tiny_recipe: Recipes, vocabulary: str
) -> None:
    recipe = tiny_recipe(vocabulary=vocabulary, network={"vocabulary_size": 320}, epochs=1)
    trainer = run(recipe, tmp_path / "run")
    assert trainer.vocabulary.kind == vocabulary
    assert trainer.network.config.vocabulary_size == trainer.vocabulary.size <= 320
    ((name, content),) = trainer.vocabulary.files().items()
    assert (tmp_path / "run" / name).read_bytes() == content
    if vocabulary == "subwords":  # a twin shares them
        twin = tiny_recipe(
            vocabulary="subwords", epochs=1, network={"vocabulary_size": 320, "cell": "gru"},
            shared_tokenizer=tmp_path / "run/tokenizer.model",
        )  # fmt: skip
        other = LanguageModelTrainer(twin, tmp_path / "twin")
        assert other.vocabulary.files() == trainer.vocabulary.files()


def test_a_missing_shared_tokenizer_is_reported(tmp_path: Path, tiny_recipe: Recipes) -> None:
    recipe = tiny_recipe(vocabulary="subwords", shared_tokenizer=tmp_path / "none.model")
    with pytest.raises(TrainingError, match="cannot read shared_tokenizer"):
        LanguageModelTrainer(recipe, tmp_path / "run")
