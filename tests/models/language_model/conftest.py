"""A small text, and recipes for it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.text_vocabulary import (
    SubwordVocabulary,
    TextVocabulary,
    count_vocabulary,
)
from dragoman_models.tokenizer import train_tokenizer

SENTENCES = (
    "the old man walked slowly to the house by the sea",
    "a young woman sang while the wind moved the green trees",
    "the dog slept under the table and the cat slept on it",
    "we ate bread and cheese and drank cold water from the well",
    "every morning the children ran down the hill to the river",
    "he wrote a long letter to his sister in the north",
    "the night was dark and the stars were small and bright",
    "she gave the boy a red apple and a book about ships",
)


@pytest.fixture(scope="session")
def lines() -> list[str]:
    """Eight sentences, twenty times, in an order drawn anew each time."""
    chance = random.Random(1)
    return [line for _ in range(20) for line in chance.sample(SENTENCES, len(SENTENCES))]


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Path:
    path = tmp_path_factory.mktemp("text") / "train.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_recipe(text_file: Path) -> Callable[..., LanguageModelRecipe]:
    """A recipe with every kind of randomness that training has."""

    def make(**changes: Any) -> LanguageModelRecipe:
        network = {
            "vocabulary_size": 100, "embedding_size": 12, "hidden_size": 16, "layers": 2,
            **changes.pop("network", {}),
        }  # fmt: skip
        settings: dict[str, Any] = {
            "language": "en", "train": (text_file,), "valid_share": 0.1, "epochs": 2,
            "network": NetworkConfig(**network), "batch_size": 8, "bptt": 12,
            "dropout": {"embedding": 0.1, "input": 0.1, "hidden": 0.1, "output": 0.1,
                        "weight": 0.1},
            "activation_penalty": 2.0, "temporal_penalty": 1.0, "warmup_updates": 5,
            "learning_rate": 0.01, "checkpoint_updates": 7, "log_updates": 5, "precision": "fp32",
        }  # fmt: skip
        return LanguageModelRecipe.model_validate({**settings, **changes})

    return make


def untrained_model(vocabulary: TextVocabulary, **sizes: Any) -> LanguageModel:
    """Random weights, large enough that its distributions are far from flat."""
    torch.manual_seed(3)
    settings = {"embedding_size": 8, "hidden_size": 10, "layers": 2, **sizes}
    config = NetworkConfig(vocabulary_size=vocabulary.size, **settings)
    network = LanguageModelNetwork(config)
    torch.nn.init.normal_(network.embedding, std=1.5)
    return LanguageModel(network, vocabulary, language="en")


@pytest.fixture(scope="session", params=["words", "characters", "subwords"])
def any_model(request: pytest.FixtureRequest, lines: list[str]) -> LanguageModel:
    """One model of each kind of vocabulary; cells and softmax differ too."""
    if request.param == "subwords":
        vocabulary = SubwordVocabulary(train_tokenizer(lines, vocabulary_size=320))
        return untrained_model(vocabulary, cell="lstm")
    counted = count_vocabulary(lines, request.param, most=60)
    return untrained_model(counted, cell="gru", adaptive_cutoffs=(10, 20))


@pytest.fixture(scope="session")
def subword_model(lines: list[str]) -> LanguageModel:
    """Pieces, of which 256 are bytes: what it says is mostly byte soup."""
    return untrained_model(SubwordVocabulary(train_tokenizer(lines, vocabulary_size=320)))
