"""Training GloVe: it learns, it resumes exactly, and it refuses what has no pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.embeddings.training.interruption import interrupted_after
from tests.models.embeddings.training.topics import separation, write_topics

from dragoman_models.embeddings.training.glove_trainer import GloveTrainer
from dragoman_models.embeddings.training.recipe import GloveRecipe, read_recipe
from dragoman_models.embeddings.training.trained_vectors import TrainedVectors
from dragoman_models.errors import TrainingError


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_topics(tmp_path_factory.mktemp("text") / "topics.txt", mixing=0.1)


def recipe_for(text: Path, **settings: Any) -> GloveRecipe:
    usual = {"corpus": [text], "dimensions": 16, "window": 4, "epochs": 60, "report_seconds": 1e9}
    return read_recipe(GloveRecipe, None, usual | settings)


def train(recipe: GloveRecipe, folder: Path, *, resume: bool = False) -> TrainedVectors:
    return GloveTrainer(recipe, folder, resume=resume, chunk_entries=20).run()


@pytest.mark.parametrize("threads", [1, 2])
def test_topics_come_apart_and_the_loss_falls(topics: Path, tmp_path: Path, threads: int) -> None:
    trained = train(recipe_for(topics, threads=threads), tmp_path / "run")
    assert separation(trained.vectors) > 0.1
    assert trained.mean_losses[-1] < trained.mean_losses[0] / 3
    assert not list((tmp_path / "run").glob("entries*"))
    assert not list((tmp_path / "run").glob("*.i32"))


def test_the_amount_is_of_entries_in_both_directions(topics: Path, tmp_path: Path) -> None:
    trained = train(recipe_for(topics, epochs=2), tmp_path / "run")
    assert trained.amount == 2 * 13 * 13  # every pair of words, once in each direction


def test_an_interrupted_run_resumes_to_the_very_same_vectors(topics: Path, tmp_path: Path) -> None:
    recipe = recipe_for(topics, epochs=5)
    whole = train(recipe, tmp_path / "whole")
    with interrupted_after(chunks=10):
        train(recipe, tmp_path / "parts")
    resumed = train(recipe, tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(resumed.vectors.index.matrix, whole.vectors.index.matrix)
    assert resumed.mean_losses == whole.mean_losses


def test_lines_of_one_word_have_no_pairs(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("one\ntwo\n" * 9)
    with pytest.raises(TrainingError, match="corpus: no two words"):
        train(recipe_for(text), tmp_path / "run")
