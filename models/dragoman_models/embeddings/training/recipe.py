"""What word vectors are trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.embeddings.training.text_stream import Tokenization
from dragoman_models.errors import TrainingError
from dragoman_models.recipe_file import checked_recipe, read_settings

_MOST_SOFTMAX_WORDS = 50_000


class Architecture(enum.StrEnum):
    """What predicts the word in the middle of a window."""

    SKIP_GRAM = "skip-gram"
    CBOW = "cbow"


class Objective(enum.StrEnum):
    """How the prediction is scored."""

    NEGATIVE_SAMPLING = "negative-sampling"
    HIERARCHICAL_SOFTMAX = "hierarchical-softmax"
    FULL_SOFTMAX = "full-softmax"


class CorpusRecipe(BaseModel):
    """The settings that word2vec and GloVe share. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    corpus: tuple[Path, ...] = Field(
        min_length=1, description="text files (UTF-8, plain or .gz), or folders of them"
    )
    tokenization: Tokenization = Field(
        default=Tokenization.WORDS, description="words (raw text, lowercased) or white-space"
    )
    dimensions: int = Field(default=100, ge=1, le=4096, description="of a vector")
    window: int = Field(default=5, ge=1, le=1000, description="words on each side, at most")
    min_count: int = Field(default=5, ge=1, description="rarer words are left out")
    max_words: int | None = Field(default=None, ge=2, description="the most frequent are kept")
    epochs: int = Field(default=5, ge=1, le=100_000, description="passes over the text")
    threads: int = Field(default=1, ge=1, le=1024)
    seed: int = Field(default=1, ge=0, lt=2**63)
    phrase_passes: int = Field(default=0, ge=0, le=10, description="0 finds no phrases")
    phrase_threshold: float = Field(default=100.0, gt=0, description="of a phrase's score")
    phrase_discount: float = Field(default=5.0, ge=0, description="taken off a pair's count")
    megabytes: float = Field(default=1000.0, ge=1, description="memory for counting pairs")
    checkpoint_seconds: float = Field(default=300.0, gt=0, description="between checkpoints")
    report_seconds: float = Field(default=10.0, gt=0, description="between rows of the log")


class Word2VecRecipe(CorpusRecipe):
    """Every setting of a word2vec run (Mikolov et al. 2013)."""

    architecture: Architecture = Architecture.SKIP_GRAM
    objective: Objective = Objective.NEGATIVE_SAMPLING
    negatives: int = Field(default=5, ge=1, le=1000, description="noise words for a word")
    noise_exponent: float = Field(default=0.75, ge=0, le=1, description="1 is by frequency")
    shared_negatives: bool = Field(
        default=False, description="one draw of noise words for all pairs of a window"
    )
    subsampling: float = Field(
        default=1e-3, ge=0, lt=1, description="frequency above which words are thinned out; 0: none"
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="at the start; by default 0.025, and 0.05 for CBOW"
    )
    final_learning_rate: float = Field(default=1e-4, ge=0, description="at the end")
    continue_from: Path | None = Field(
        default=None, description="the folder of a finished run to learn on from"
    )

    @model_validator(mode="after")
    def _check_rates(self) -> Word2VecRecipe:
        if self.final_learning_rate > self.first_rate:
            raise ValueError(
                f"final_learning_rate: {self.final_learning_rate} is above learning_rate, "
                f"{self.first_rate}; give a smaller one"
            )
        return self

    @property
    def first_rate(self) -> float:
        """The learning rate at the start."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 0.025 if self.architecture is Architecture.SKIP_GRAM else 0.05

    def check_vocabulary(self, words: int) -> None:
        """Raises `TrainingError` where the full softmax would take for ever."""
        if self.objective is Objective.FULL_SOFTMAX and words > _MOST_SOFTMAX_WORDS:
            raise TrainingError(
                f"objective: the full softmax is for up to {_MOST_SOFTMAX_WORDS:,} words, and the "
                f"text has {words:,}; set max_words or a larger min_count, or use "
                "negative-sampling"
            )


class GloveRecipe(CorpusRecipe):
    """Every setting of a GloVe run (Pennington et al. 2014)."""

    window: int = Field(default=10, ge=1, le=1000, description="words on each side")
    epochs: int = Field(default=25, ge=1, le=100_000, description="passes over the entries")
    learning_rate: float = Field(default=0.05, gt=0, description="of the first steps")
    saturation: float = Field(default=100.0, gt=0, description="x_max of eq. 9")
    exponent: float = Field(default=0.75, gt=0, description="alpha of eq. 9")


Recipe = TypeVar("Recipe", bound=CorpusRecipe)


def read_recipe(
    kind: type[Recipe], path: Path | None, overrides: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe in a TOML file, if one is given, with `overrides` put over its settings.

    Paths in the file are relative to it, those of `overrides` to the current folder. Raises
    `TrainingError`: the file cannot be read, is not TOML, or a setting is wrong (which is named).
    """
    settings = {} if path is None else _relative_to(path.parent, read_settings(path))
    settings |= overrides or {}
    if "corpus" not in settings:
        raise TrainingError("corpus: no text is given; name at least one file")
    return checked_recipe(kind, settings, path)


def _relative_to(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    changed = dict(settings)
    corpus = settings.get("corpus")
    if isinstance(corpus, str):
        corpus = [corpus]
    if isinstance(corpus, list):
        changed["corpus"] = [folder / file if isinstance(file, str) else file for file in corpus]
    if isinstance(settings.get("continue_from"), str):
        changed["continue_from"] = folder / settings["continue_from"]
    return changed
