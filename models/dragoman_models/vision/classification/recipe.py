"""What a residual classifier is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.training import Precision
from dragoman_models.vision.classification.augmentation import AugmentationOptions


class NetworkSizes(BaseModel):
    """The sizes that a recipe chooses; channels and classes follow from the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stem_width: int = Field(default=32, ge=1, le=4096)
    widths: tuple[int, ...] = (64, 128)
    blocks: tuple[int, ...] = (2, 2)


class ClassifierRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idx: Path = Field(
        description="folder of IDX files: train-images-idx3-ubyte[.gz] and so on, t10k for the test"
    )
    labels: tuple[str, ...] = Field(min_length=2, description="names of classes 0, 1, ...")
    valid_count: int = Field(default=5000, ge=1, description="training images that steer only")
    light_background: bool = Field(
        default=False,
        description="the data has dark backgrounds: when answering, negate light ones",
    )

    network: NetworkSizes = NetworkSizes()
    augmentation: AugmentationOptions = AugmentationOptions()
    seed: int = 1
    epochs: int = Field(default=28, ge=1)
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.1, gt=0, description="at its peak")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov's")
    weight_decay: float = Field(default=5e-4, ge=0, description="of kernels and matrices")
    warmup_share: float = Field(default=0.1, gt=0, lt=1, description="of all updates")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    average_decay: float = Field(default=0.998, ge=0, lt=1, description="of the weights' average")
    mirror_average: bool = Field(
        default=True, description="answer the mean over the image and its mirror image"
    )
    checkpoint_updates: int = Field(default=500, ge=1)
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _check(self) -> ClassifierRecipe:
        if len(set(self.labels)) != len(self.labels) or not all(map(str.strip, self.labels)):
            raise ValueError("labels must be different from each other, and none empty")
        return self


def read_recipe(path: Path) -> ClassifierRecipe:
    """Reads a recipe file.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    recipe = checked_recipe(ClassifierRecipe, read_settings(path), path)
    return recipe.model_copy(update={"idx": path.parent / recipe.idx})
