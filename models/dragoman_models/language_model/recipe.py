"""What a language model is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.network import Dropouts
from dragoman_models.language_model.text_vocabulary import VocabularyKind
from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.training import Precision


class DropoutShares(BaseModel):
    """Shares that are dropped in training; see `network.Dropouts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding: float = Field(default=0.0, ge=0, lt=1)
    input: float = Field(default=0.0, ge=0, lt=1)
    hidden: float = Field(default=0.2, ge=0, lt=1)
    output: float = Field(default=0.2, ge=0, lt=1)
    weight: float = Field(default=0.0, ge=0, lt=1)

    def as_dropouts(self) -> Dropouts:
        """The same shares for the network."""
        return Dropouts(**self.model_dump())


class LanguageModelRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str = Field(min_length=2, description="BCP 47 tag, such as en")
    train: tuple[Path, ...] = Field(min_length=1, description="text files, or folders of them")
    valid: tuple[Path, ...] = Field(default=(), description="text that steers the training")
    valid_share: float = Field(
        default=0.0, ge=0, lt=1, description="of train's lines, its last ones, where valid is empty"
    )
    test: tuple[Path, ...] = Field(default=(), description="text that nothing in training sees")
    vocabulary: VocabularyKind = "words"
    shared_tokenizer: Path | None = Field(
        default=None, description="a tokenizer.model to use instead of learning one"
    )

    network: NetworkConfig = NetworkConfig()
    dropout: DropoutShares = DropoutShares()
    activation_penalty: float = Field(default=0.0, ge=0, description="AR, alpha")
    temporal_penalty: float = Field(default=0.0, ge=0, description="TAR, beta")
    seed: int = 1
    epochs: int = Field(default=20, ge=1, description="passes over the training text")
    batch_size: int = Field(default=20, ge=1, description="columns, in each process")
    bptt: int = Field(default=35, ge=1, description="steps of a segment, on average")
    variable_bptt: bool = True
    reset_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="of the columns, those whose state begins anew at a segment",
    )
    continue_from: Path | None = Field(
        default=None, description="the folder of a finished run whose weights are the beginning"
    )
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=2e-3, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_updates: int = Field(default=200, ge=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip_norm: float = Field(default=0.25, gt=0)
    averaging: Literal["none", "non_monotone", "from_start"] = Field(
        default="none", description="of the weights; non_monotone: NT-ASGD"
    )
    non_monotone_epochs: int = Field(default=5, ge=1, description="NT-ASGD's n")
    checkpoint_updates: int = Field(default=500, ge=1)
    log_updates: int = Field(default=100, ge=1)
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _check(self) -> LanguageModelRecipe:
        if not self.valid and not self.valid_share:
            raise ValueError("give valid, or valid_share to hold the end of train out")
        if self.valid and self.valid_share:
            raise ValueError("give valid or valid_share, not both")
        if self.shared_tokenizer is not None and self.vocabulary != "subwords":
            raise ValueError("shared_tokenizer is for the vocabulary subwords")
        return self


def read_recipe(path: Path) -> LanguageModelRecipe:
    """Reads a recipe file.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    recipe = checked_recipe(LanguageModelRecipe, read_settings(path), path)
    paths = {
        name: tuple(path.parent / value for value in getattr(recipe, name))
        for name in ("train", "valid", "test")
    }
    others = {
        name: value and path.parent / value
        for name in ("shared_tokenizer", "continue_from")
        for value in [getattr(recipe, name)]
    }
    return recipe.model_copy(update={**paths, **others})
