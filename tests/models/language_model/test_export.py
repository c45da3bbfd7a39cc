"""A finished run becomes a bundle that answers as the run's weights do; broken ones are refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.errors import BundleError, TrainingError
from dragoman_models.language_model.card import TextData
from dragoman_models.language_model.dynamic_evaluation import DynamicOptions
from dragoman_models.language_model.export import export
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.measure import TrainedRun, measure, read_run
from dragoman_models.language_model.measure import main as measure_command
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.neural_cache import CacheOptions
from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe
from dragoman_models.language_model.text_scores import TextToScore
from dragoman_models.language_model.trainer import LanguageModelTrainer
from dragoman_models.registry import load_model

DATA = TextData(description="a text", license="CC0-1.0", attribution="nobody", test="its end")
RECIPES = Path(__file__).parents[3] / "docs/recipes/language-model"


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipe: Callable[..., LanguageModelRecipe],
    text_file: Path,
) -> TrainedRun:
    recipe = tiny_recipe(epochs=1, test=(text_file,), train=(text_file.with_name("more.txt"),))
    recipe.train[0].write_text(text_file.read_text(encoding="utf-8"), encoding="utf-8")
    folder = tmp_path_factory.mktemp("run")
    LanguageModelTrainer(recipe, folder).run(Progress(disable=True))
    return read_run(folder, recipe)


@pytest.fixture(scope="module")
def bundle(run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "tiny/1"
    export(run, out, figures=measure(run), data=DATA, command="a command")
    return out


def test_the_bundle_scores_as_the_run(run: TrainedRun, bundle: Path) -> None:
    loaded = load_model(read_bundle(bundle))
    assert isinstance(loaded, LanguageModel)
    items = [TextToScore(text="the old man walked"), TextToScore(text="zebra")]
    assert loaded.score(items) == run.model.score(items)
    assert loaded.language == "en"


def test_card_and_metrics_hold_the_figures(run: TrainedRun, bundle: Path) -> None:
    read = read_bundle(bundle)
    found = measure(run)["plain"]
    assert read.metrics["test"]["plain"]["perplexity"] == round(found.perplexity, 3)
    assert f"{found.perplexity:.2f} | {found.word_perplexity:.2f}" in read.card
    for part in ("CC0-1.0", "nobody", "a text", "its end", "a command"):
        assert part in read.card
    assert read.metrics["learning_curve"][0]["epoch"] == 1


def test_measuring_with_cache_and_dynamically_leaves_the_model(run: TrainedRun) -> None:
    before = {name: weight.clone() for name, weight in run.model.network.state_dict().items()}
    found = measure(run, cache=CacheOptions(window=200), dynamic=DynamicOptions(segment=40))
    assert set(found) == {"plain", "cache", "dynamic"}
    assert found["dynamic"].nats < found["plain"].nats  # the text repeats its sentences
    for name, weight in run.model.network.state_dict().items():
        assert torch.equal(weight, before[name])
        assert not weight.requires_grad


def test_a_recipe_without_a_test_text_cannot_be_measured(run: TrainedRun) -> None:
    untested = TrainedRun(
        name=run.name,
        recipe=run.recipe.model_copy(update={"test": ()}), weights=run.weights, model=run.model,
        curve=run.curve,
    )  # fmt: skip
    with pytest.raises(TrainingError, match="names no test text"):
        measure(untested)


def test_an_unfinished_run_is_refused(tmp_path: Path, run: TrainedRun) -> None:
    with pytest.raises(TrainingError, match="no finished run"):
        read_run(tmp_path, run.recipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": "runes"}, "vocabulary must be"),
        ({"network": None}, "is no language model"),
        ({"language": 3}, "language must be"),
        ({"network": {"cell": "gru"}}, "is no language model"),
    ],
)
def test_broken_bundles_are_refused(
    bundle: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    read = read_bundle(bundle)
    out = tmp_path / "broken/1"
    write_bundle(
        out, config={**read.config, **change}, tensors=read.torch_tensors(),
        files={"vocabulary.txt": read.file("vocabulary.txt")}, metrics={}, card="a card",
    )  # fmt: skip
    with pytest.raises(BundleError, match=message):
        load_model(read_bundle(out))


def test_vocabulary_of_another_size_is_refused(bundle: Path, tmp_path: Path) -> None:
    read = read_bundle(bundle)
    words = read.file("vocabulary.txt") + b"another\n"
    write_bundle(
        tmp_path / "broken/1", config=read.config, tensors=read.torch_tensors(),
        files={"vocabulary.txt": words}, metrics={}, card="a card",
    )  # fmt: skip
    with pytest.raises(BundleError, match=re.escape("vocabulary.txt has")):
        load_model(read_bundle(tmp_path / "broken/1"))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_documented_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.network.adaptive_cutoffs == tuple(sorted(recipe.network.adaptive_cutoffs))


@pytest.mark.parametrize(("name", "most"), [("books-lstm", 10e6), ("books-gru", 6e6)])
def test_book_models_fit_in_what_they_may_weigh(name: str, most: float) -> None:
    network = LanguageModelNetwork(read_recipe(RECIPES / f"{name}.toml").network)
    size = 2 * sum(parameter.numel() for parameter in network.parameters())
    assert size < most - 0.4e6  # the vocabulary and the card come on top


def test_measure_command_reports_an_unfinished_run(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(measure_command)
    result = CliRunner().invoke(
        app, ["--run", str(tmp_path), "--config", str(RECIPES / "books-lstm.toml")]
    )
    assert result.exit_code == 1
    assert "no finished run" in result.output
