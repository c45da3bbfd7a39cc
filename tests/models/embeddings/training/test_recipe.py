"""Recipes: from files, from flags, and wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman_models.embeddings.training.recipe import (
    Architecture,
    GloveRecipe,
    Objective,
    Word2VecRecipe,
    read_recipe,
)
from dragoman_models.errors import TrainingError


def test_a_file_with_flags_over_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('corpus = ["text", "/elsewhere/text"]\nwindow = 3\narchitecture = "cbow"\n')
    recipe = read_recipe(Word2VecRecipe, path, {"window": 8})
    assert recipe.corpus == (tmp_path / "text", Path("/elsewhere/text"))
    assert (recipe.window, recipe.architecture) == (8, Architecture.CBOW)


def test_one_text_needs_no_list(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('corpus = "text"\n')
    assert read_recipe(GloveRecipe, path).corpus == (tmp_path / "text",)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("window", 0),
        ("dimensions", 0),
        ("min_count", 0),
        ("epochs", 0),
        ("negatives", -1),
        ("subsampling", 1.0),
        ("subsampling", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("architecture", "bag"),
        ("objective", "none"),
        ("tokenization", "bytes"),
        ("threads", 0),
        ("windows", 3),
        ("corpus", []),
        ("final_learning_rate", 0.5),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: Any) -> None:
    with pytest.raises(TrainingError, match=f"^{setting}: "):
        read_recipe(Word2VecRecipe, None, {"corpus": ["text"], setting: value})


def test_a_corpus_must_be_given() -> None:
    with pytest.raises(TrainingError, match="corpus: no text is given"):
        read_recipe(GloveRecipe, None)


@pytest.mark.parametrize("content", ["window = ", b"\xff\xfe"])
def test_a_recipe_that_is_no_toml(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TrainingError, match="cannot read the recipe"):
        read_recipe(GloveRecipe, path)


def test_full_softmax_is_for_small_vocabularies() -> None:
    recipe = Word2VecRecipe(corpus=(Path("text"),), objective=Objective.FULL_SOFTMAX)
    recipe.check_vocabulary(50_000)
    with pytest.raises(TrainingError, match="objective: the full softmax is for up to 50,000"):
        recipe.check_vocabulary(50_001)
