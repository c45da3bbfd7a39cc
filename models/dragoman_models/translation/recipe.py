"""What a translator is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.tokenizer import SubwordModel
from dragoman_models.training import Precision
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.dropout import DropoutRates, uniform_rates
from dragoman_models.translation.text_preparation import Preparation

_PATHS = (
    "train", "dev", "forbidden_names", "continue_from", "shared_tokenizer", "synthetic",
    "held_out",
)  # fmt: skip


class TranslationRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_language: str = Field(min_length=2, description="BCP 47 tag, such as fr")
    target_language: str = Field(min_length=2, description="BCP 47 tag, such as en")
    train: Path | tuple[Path, Path] = Field(
        description="tab-separated pairs, UTF-8, plain or .gz; or two files of which line N of one "
        "goes with line N of the other, read as columns 1 and 2"
    )
    dev: Path | tuple[Path, Path] = Field(
        description="pairs for early stopping, in the same format"
    )
    source_column: int = Field(ge=1, description="counted from 1")
    target_column: int = Field(ge=1, description="counted from 1")

    continue_from: Path | None = Field(
        default=None, description="a finished run, whose tokenizer and weights this one begins with"
    )
    preparation: Preparation = Field(
        default="none", description="moses_lowercase: lowercased, normalized and tokenized text"
    )
    subword_model: SubwordModel = "unigram"
    shared_tokenizer: Path | None = Field(
        default=None,
        description="a tokenizer.model to take instead of learning one, as another run's",
    )
    network: NetworkConfig = NetworkConfig()
    seed: int = 1
    passes: int = Field(default=20, ge=1, description="over the training pairs")
    patience: int = Field(default=5, ge=1, description="passes without a better dev BLEU")
    keep_best: bool = Field(
        default=False, description="average the passes with the best dev BLEU, not the last ones"
    )
    batch_target_tokens: int = Field(default=1000, ge=1, description="padded pieces in a batch")
    longest: int = Field(default=100, ge=2, description="pieces a side; longer pairs are cut")
    learning_rate: float = Field(default=2e-3, gt=0, description="Adam's, at its peak")
    warmup_updates: int = Field(default=200, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    dropout_rates: DropoutRates | None = Field(
        default=None, description="a rate for each place, in place of dropout"
    )
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    source_sampling: float = Field(
        default=0.3, ge=0, le=1, description="share of sources with a sampled segmentation"
    )
    target_sampling: float = Field(default=0.1, ge=0, le=1)
    sampling_alpha: float = Field(
        default=0.3, gt=0,
        description="of unigram Kudo 2018, section 3.3; of bpe the share of merges left out",
    )  # fmt: skip
    substitution_rate: float = Field(
        default=0.5, ge=0, le=1, description="share of pairs whose names and numbers are exchanged"
    )
    exchange_lexicon: bool = Field(
        default=True, description="whether months, weekdays and countries are exchanged"
    )
    forbidden_names: Path | None = Field(
        default=None, description="a probe set, whose words substitution must never invent"
    )
    case_noise: float = Field(
        default=0.0, ge=0, le=1, description="share of sources with words in another case"
    )
    split_sentences: bool = Field(
        default=False, description="whether pairs of several sentences are learnt one by one too"
    )
    held_out: tuple[Path, ...] = Field(
        default=(), description="files of test pairs and probes: what is made of the training "
        "pairs, or is synthetic, holds none of their sentences, nor of dev's",
    )  # fmt: skip
    synthetic: tuple[Path, ...] = Field(
        default=(), description="machine-made pairs, lines of source, target and origin: what "
        "`dragoman train back-translation` writes",
    )  # fmt: skip
    synthetic_ratio: float = Field(
        default=1.0, gt=0, description="synthetic pairs for each real one, drawn anew in each pass"
    )
    synthetic_tag: bool = Field(
        default=True, description="whether synthetic sources begin with a piece that tells them"
    )
    averaged_checkpoints: int = Field(default=4, ge=1, description="passes to average")
    checkpoint_updates: int = Field(default=200, ge=1)
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _possible(self) -> TranslationRecipe:
        if self.dropout_rates is not None and "dropout" in self.model_fields_set:
            raise ValueError("give dropout or dropout_rates, not both")
        if self.network.cell != "gru" and self.rates.state:
            raise ValueError('dropout_rates.state is for network.cell = "gru"')
        if self.subword_model == "bpe" and self.sampling_alpha >= 1:
            raise ValueError("sampling_alpha is the share of merges left out; give less than 1")
        if self.shared_tokenizer is not None and self.continue_from is not None:
            raise ValueError("continue_from brings its own tokenizer; leave out shared_tokenizer")
        return self

    @property
    def rates(self) -> DropoutRates:
        """What is dropped where."""
        return self.dropout_rates or uniform_rates(self.dropout)

    @property
    def columns(self) -> dict[str, int]:
        """Where a pair's sides stand in a line of the data."""
        return {"source_column": self.source_column, "target_column": self.target_column}

    def as_config(self) -> dict[str, Any]:
        """What a bundle says of its training: everything but paths."""
        return self.model_dump(mode="json", exclude=set(_PATHS))


def read_recipe(path: Path, *, seed: int | None = None) -> TranslationRecipe:
    """Reads a recipe file; ``seed`` goes before the file's.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    settings = read_settings(path)
    if seed is not None:
        settings["seed"] = seed
    recipe = checked_recipe(TranslationRecipe, settings, path)
    paths = {
        name: _beside(path, value)
        for name in _PATHS
        if (value := getattr(recipe, name)) is not None
    }
    return recipe.model_copy(update=paths)


def _beside(recipe: Path, value: Path | tuple[Path, ...]) -> Path | tuple[Path, ...]:
    if isinstance(value, Path):
        return recipe.parent / value
    return tuple(recipe.parent / one for one in value)
