"""What a translator is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.training import Precision
from dragoman_models.translation.config import NetworkConfig


class TranslationRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_language: str = Field(min_length=2, description="BCP 47 tag, such as fr")
    target_language: str = Field(min_length=2, description="BCP 47 tag, such as en")
    train: Path = Field(description="tab-separated pairs, UTF-8, plain or .gz")
    dev: Path = Field(description="pairs for early stopping, in the same format")
    source_column: int = Field(ge=1, description="counted from 1")
    target_column: int = Field(ge=1, description="counted from 1")

    continue_from: Path | None = Field(
        default=None, description="a finished run, whose tokenizer and weights this one begins with"
    )
    network: NetworkConfig = NetworkConfig()
    seed: int = 1
    passes: int = Field(default=20, ge=1, description="over the training pairs")
    patience: int = Field(default=5, ge=1, description="passes without a better dev BLEU")
    batch_target_tokens: int = Field(default=1000, ge=1, description="padded pieces in a batch")
    longest: int = Field(default=100, ge=2, description="pieces a side; longer pairs are cut")
    learning_rate: float = Field(default=2e-3, gt=0, description="Adam's, at its peak")
    warmup_updates: int = Field(default=200, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    source_sampling: float = Field(
        default=0.3, ge=0, le=1, description="share of sources with a sampled segmentation"
    )
    target_sampling: float = Field(default=0.1, ge=0, le=1)
    sampling_alpha: float = Field(default=0.3, gt=0, description="Kudo 2018, section 3.3")
    substitution_rate: float = Field(
        default=0.5, ge=0, le=1, description="share of pairs whose names and numbers are exchanged"
    )
    exchange_lexicon: bool = Field(
        default=True, description="whether months, weekdays and countries are exchanged"
    )
    forbidden_names: Path | None = Field(
        default=None, description="a probe set, whose words substitution must never invent"
    )
    averaged_checkpoints: int = Field(default=4, ge=1, description="last passes to average")
    checkpoint_updates: int = Field(default=200, ge=1)
    precision: Precision = "auto"


def read_recipe(path: Path) -> TranslationRecipe:
    """Reads a recipe file.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    recipe = checked_recipe(TranslationRecipe, read_settings(path), path)
    paths = {
        name: path.parent / value
        for name in ("train", "dev", "forbidden_names", "continue_from")
        if (value := getattr(recipe, name)) is not None
    }
    return recipe.model_copy(update=paths)
