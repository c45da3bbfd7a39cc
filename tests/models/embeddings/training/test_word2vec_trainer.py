"""Training word2vec: it learns, resumes exactly, continues on new text, and refuses nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.embeddings.training.interruption import interrupted_after
from tests.models.embeddings.training.topics import FRUIT, separation, write_topics

from dragoman_models.embeddings.training.recipe import Word2VecRecipe, read_recipe
from dragoman_models.embeddings.training.trained_vectors import TrainedVectors
from dragoman_models.embeddings.training.word2vec_trainer import Word2VecTrainer
from dragoman_models.errors import TrainingError

_CHUNK = 2_000


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_topics(tmp_path_factory.mktemp("text") / "topics.txt")


def recipe_for(text: Path, **settings: Any) -> Word2VecRecipe:
    usual = {
        "corpus": [text], "dimensions": 16, "window": 3, "epochs": 12, "learning_rate": 0.1,
        "subsampling": 0, "report_seconds": 1e9,
    }  # fmt: skip
    return read_recipe(Word2VecRecipe, None, usual | settings)


def train(recipe: Word2VecRecipe, folder: Path, *, resume: bool = False) -> TrainedVectors:
    return Word2VecTrainer(recipe, folder, resume=resume, chunk_words=_CHUNK).run()


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize(
    "objective",
    [
        {"objective": "negative-sampling"},
        {"objective": "negative-sampling", "shared_negatives": True},
        {"objective": "hierarchical-softmax"},
        {"objective": "full-softmax"},
    ],
    ids=["negative-sampling", "shared-negatives", "hierarchical-softmax", "full-softmax"],
)
def test_topics_come_apart_and_the_loss_falls(
    topics: Path, tmp_path: Path, architecture: str, objective: dict[str, Any]
) -> None:
    recipe = recipe_for(topics, architecture=architecture, learning_rate=0.2, **objective)
    trained = train(recipe, tmp_path / "run")
    assert separation(trained.vectors) > 0.3
    assert trained.mean_losses[-1] < trained.mean_losses[0]
    assert trained.amount == 12 * 12_000
    assert not (tmp_path / "run" / "text.i32").exists()


def test_full_softmax_reports_the_loss_of_chance_at_first(topics: Path, tmp_path: Path) -> None:
    # Before anything is learnt every one of the 13 words has probability 1/13.
    recipe = recipe_for(topics, objective="full-softmax", learning_rate=1e-9, epochs=1,
                        final_learning_rate=0)  # fmt: skip
    assert train(recipe, tmp_path / "run").mean_losses == pytest.approx([np.log(13)], rel=1e-5)


def test_negative_sampling_reports_the_loss_of_chance_at_first(
    topics: Path, tmp_path: Path
) -> None:
    # Each of the word and the noise that is not the word costs log 2. A word w of frequency p(w)
    # meets itself among the noise with probability q(w).
    recipe = recipe_for(topics, learning_rate=1e-9, final_learning_rate=0, epochs=2)
    trained = train(recipe, tmp_path / "run")
    p = trained.words.counts / trained.words.counts.sum()
    q = trained.words.counts**0.75 / (trained.words.counts**0.75).sum()
    expected = np.log(2) * (1 + 5 * (1 - (p * q).sum()))
    assert trained.mean_losses == pytest.approx([expected, expected], rel=0.01)


def test_several_threads_learn_the_same_topics(topics: Path, tmp_path: Path) -> None:
    trained = train(recipe_for(topics, threads=3), tmp_path / "run")
    assert separation(trained.vectors) > 0.1


@pytest.mark.parametrize("objective", ["negative-sampling", "hierarchical-softmax"])
def test_an_interrupted_run_resumes_to_the_very_same_vectors(
    topics: Path, tmp_path: Path, objective: str
) -> None:
    recipe = recipe_for(topics, objective=objective, subsampling=0.01, epochs=3)
    whole = train(recipe, tmp_path / "whole")
    with interrupted_after(chunks=8):
        train(recipe, tmp_path / "parts")
    resumed = train(recipe, tmp_path / "parts", resume=True)
    np.testing.assert_array_equal(resumed.vectors.index.matrix, whole.vectors.index.matrix)
    assert resumed.mean_losses == whole.mean_losses
    again = train(recipe, tmp_path / "parts", resume=True)  # a finished run is only read
    np.testing.assert_array_equal(again.vectors.index.matrix, whole.vectors.index.matrix)


def test_training_continues_on_new_text_with_new_words(topics: Path, tmp_path: Path) -> None:
    first = train(recipe_for(topics), tmp_path / "first")
    exotic = (*FRUIT[:3], "papaya", "guava")
    text = write_topics(tmp_path / "new.txt", fruit=exotic)
    with (tmp_path / "new.txt").open("a") as file:
        file.write("fig hapax\n")  # known words stay known, however rare; new ones must be frequent
    settings = {"continue_from": tmp_path / "first", "learning_rate": 0.05}
    second = train(recipe_for(text, **settings), tmp_path / "second")
    words = second.vectors.vocabulary
    assert set(first.vectors.vocabulary) < set(words)
    assert set(words) - set(first.vectors.vocabulary) == {"papaya", "guava"}
    assert second.words.counts.tolist() == sorted(second.words.counts.tolist(), reverse=True)
    assert separation(second.vectors, exotic) > 0.3  # new words find their place
    # A known word that the new text has only once is where it was.
    old, new = (t.vectors.embed(["lime"])[0] for t in (first, second))
    np.testing.assert_array_equal(old.vector, new.vector)  # type: ignore[union-attr]


def test_new_dimensions_cannot_continue_old_vectors(topics: Path, tmp_path: Path) -> None:
    train(recipe_for(topics, epochs=1), tmp_path / "first")
    recipe = recipe_for(topics, dimensions=8, continue_from=tmp_path / "first")
    with pytest.raises(TrainingError, match=r"continue_from: .* 8 dimensions; set dimensions"):
        train(recipe, tmp_path / "second")


def test_phrases_are_learnt_as_words(tmp_path: Path) -> None:
    text = tmp_path / "text"
    lines = [f"we saw new york in {month}" for month in ("may", "june", "july")] * 20
    text.write_text("\n".join(lines))
    recipe = recipe_for(text, phrase_passes=1, phrase_threshold=2, phrase_discount=1, epochs=1)
    words = train(recipe, tmp_path / "run").vectors.vocabulary
    assert "new_york" in words
    assert "york" not in words


def test_only_the_most_frequent_words_are_kept(topics: Path, tmp_path: Path) -> None:
    trained = train(recipe_for(topics, max_words=5, epochs=1), tmp_path / "run")
    assert len(trained.vectors.vocabulary) == 5


def test_a_folder_with_a_run_is_not_overwritten(topics: Path, tmp_path: Path) -> None:
    train(recipe_for(topics, epochs=1), tmp_path / "run")
    with pytest.raises(TrainingError, match="holds a training run; resume it"):
        train(recipe_for(topics, epochs=1), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"window: the run in .* begun with 3, not 4"):
        train(recipe_for(topics, epochs=1, window=4), tmp_path / "run", resume=True)
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(recipe_for(topics), tmp_path / "other", resume=True)


def test_a_damaged_checkpoint_is_refused(topics: Path, tmp_path: Path) -> None:
    train(recipe_for(topics, epochs=1), tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    with pytest.raises(TrainingError, match=r"cannot read .*checkpoint\.safetensors"):
        train(recipe_for(topics, epochs=1), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "corpus: holds no words"),
        (" \n\n", "corpus: holds no words"),
        ("one two three", "min_count: 0 words stand 5 times"),
    ],
)
def test_text_that_cannot_be_trained_on(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "text").write_text(content)
    with pytest.raises(TrainingError, match=message):
        train(recipe_for(tmp_path / "text"), tmp_path / "run")


def test_a_text_that_failed_can_be_mended_and_resumed(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"a b a b \xff\n" * 40)
    recipe = recipe_for(text, epochs=1)
    with pytest.raises(TrainingError, match="line 1 is not UTF-8"):
        train(recipe, tmp_path / "run")
    text.write_bytes(b"a b a b c\n" * 40)  # as many bytes, so that it can pass for the same text
    assert train(recipe, tmp_path / "run", resume=True).vectors.vocabulary_size == 3


def test_a_learning_rate_that_explodes_is_named(topics: Path, tmp_path: Path) -> None:
    recipe = recipe_for(topics, learning_rate=1e30, architecture="cbow", objective="full-softmax")
    with pytest.raises(TrainingError, match="learning_rate: the loss is no longer a number"):
        train(recipe, tmp_path / "run")
