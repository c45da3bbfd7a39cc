"""A trained run becomes a bundle that loads as word vectors and says where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.embeddings.training.topics import write_topics

from dragoman_models.bundle import read_bundle
from dragoman_models.embeddings.build_glove_bundle import EvaluationSets
from dragoman_models.embeddings.evaluation import SimilarityJudgement
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.training.glove_trainer import GloveTrainer
from dragoman_models.embeddings.training.recipe import GloveRecipe, Word2VecRecipe, read_recipe
from dragoman_models.embeddings.training.vector_bundle import BundleFacts, write_trained_vectors
from dragoman_models.embeddings.training.word2vec_trainer import Word2VecTrainer
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.registry import family_named

_FACTS = BundleFacts(
    command="dragoman train word2vec --out run --corpus topics.txt",
    data="lines on fruit and tools",
    license="CC0-1.0",
    language="en",
)


@pytest.mark.parametrize(
    ("kind", "trainer", "name"),
    [(Word2VecRecipe, Word2VecTrainer, "word2vec"), (GloveRecipe, GloveTrainer, "GloVe")],
)
@pytest.mark.parametrize("encoding", [VectorEncoding.FLOAT32, VectorEncoding.INT8_ROWS])
def test_a_bundle_of_what_was_trained(
    tmp_path: Path, kind: Any, trainer: Any, name: str, encoding: VectorEncoding
) -> None:
    text = write_topics(tmp_path / "topics.txt", lines=200)
    recipe = read_recipe(kind, None, {"corpus": [text], "dimensions": 12, "epochs": 2})
    trained = trainer(recipe, tmp_path / "run").run()
    judgements = (
        SimilarityJudgement(first="apple", second="pear", score=9.0),
        SimilarityJudgement(first="apple", second="saw", score=1.0),
    )
    folder = tmp_path / "models" / "topics" / "1"
    sets = EvaluationSets(analogies=(), similarities={"fruit": judgements})
    write_trained_vectors(folder, trained, recipe, facts=_FACTS, encoding=encoding, sets=sets)
    bundle = read_bundle(folder)
    loaded = family_named(bundle.family).load(bundle)
    assert isinstance(loaded, WordVectors)
    tolerance = 0.0 if encoding is VectorEncoding.FLOAT32 else 0.02
    np.testing.assert_allclose(
        loaded.index.matrix, trained.vectors.index.matrix, rtol=0, atol=tolerance
    )
    assert bundle.config["hyperparameters"]["method"] == name
    assert bundle.config["license"] == "CC0-1.0"
    assert bundle.metrics["mean_loss_by_epoch"] == [round(x, 6) for x in trained.mean_losses]
    assert bundle.metrics["shipped"]["fruit"]["covered"] == 2
    for said in ("lines on fruit and tools", "not stated", _FACTS.command, "fruit | 2 of 2"):
        assert said in bundle.card
    assert str(tmp_path) not in bundle.card + str(bundle.config) + str(bundle.metrics)
