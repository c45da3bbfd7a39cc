"""What a detector is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.training import Precision
from dragoman_models.vision.detection.augmentation import AugmentationOptions
from dragoman_models.vision.detection.backbone import PART_COUNT
from dragoman_models.vision.detection.config import LARGEST_STRIDE, STRIDES
from dragoman_models.vision.detection.loss import LossOptions
from dragoman_models.vision.detection.target_assignment import AssignmentOptions


class LossSettings(BaseModel):
    """Weights of the loss and the choice of targets; see `loss` and `target_assignment`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    box_weight: float = Field(default=5.0, gt=0)
    objectness_weight: float = Field(default=1.0, gt=0)
    class_weight: float = Field(default=1.0, gt=0)
    ignore_iou: float = Field(default=0.6, gt=0, le=1)
    match_iou: float = Field(default=0.5, gt=0, description="above 1: only the best anchor")
    neighbours: bool = True

    def as_options(self) -> LossOptions:
        """The same for the loss."""
        return LossOptions(
            box_weight=self.box_weight,
            objectness_weight=self.objectness_weight,
            class_weight=self.class_weight,
            ignore_iou=self.ignore_iou,
            assignment=AssignmentOptions(match_iou=self.match_iou, neighbours=self.neighbours),
        )


class DetectorRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(description="Pascal VOC: a folder or a tar of Annotations and JPEGImages")
    train: Path | None = Field(default=None, description="list of names; all where it is left out")
    test: Path | None = Field(default=None, description="list of names that training never sees")
    labels: tuple[str, ...] | None = Field(default=None, description="all that occur, sorted")
    held_out: int = Field(
        default=20, ge=1, description="images of train that steer settings and the threshold"
    )

    backbone: Literal["efficientnet-lite0", "none"] = Field(
        default="efficientnet-lite0", description="published weights to begin with"
    )
    frozen_parts: int = Field(
        default=4, ge=0, le=PART_COUNT, description="stem and blocks that keep their weights"
    )
    input_size: int = Field(default=416, ge=32, le=2048, multiple_of=LARGEST_STRIDE)
    view_size: int = Field(default=320, ge=32, le=2048, multiple_of=LARGEST_STRIDE)
    anchors: int = Field(default=9, ge=len(STRIDES), le=48, multiple_of=len(STRIDES))
    neck_channels: int = Field(default=96, ge=8, le=512)
    augmentation: AugmentationOptions = AugmentationOptions()
    loss: LossSettings = LossSettings()

    seed: int = Field(default=1, ge=0)
    epochs: int = Field(default=80, ge=1)
    batch_size: int = Field(default=8, ge=2, description="batch normalization needs two")
    learning_rate: float = Field(default=1e-3, gt=0)
    backbone_rate: float = Field(default=0.2, ge=0, description="share of learning_rate")
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_updates: int = Field(default=100, ge=1)
    clip_norm: float = Field(default=10.0, gt=0)
    averaging: float = Field(default=0.995, ge=0, lt=1, description="decay of averaged weights")
    precision: Precision = Field(default="auto", description="of 1x1 convolutions")
    valid_epochs: int = Field(default=5, ge=1)
    checkpoint_updates: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _check(self) -> DetectorRecipe:
        if self.augmentation.smallest_zoom > self.augmentation.largest_zoom:
            raise ValueError("augmentation: smallest_zoom is above largest_zoom")
        if self.backbone == "none" and self.frozen_parts:
            raise ValueError("frozen_parts: without published weights there is nothing to freeze")
        return self


def read_recipe(path: Path) -> DetectorRecipe:
    """Reads a recipe file.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    recipe = checked_recipe(DetectorRecipe, read_settings(path), path)
    paths = {
        name: value and path.parent / value
        for name in ("data", "train", "test")
        for value in [getattr(recipe, name)]
    }
    return recipe.model_copy(update=paths)
