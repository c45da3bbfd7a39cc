"""A small text, and recipes for it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.recipe import LanguageModelRecipe

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
