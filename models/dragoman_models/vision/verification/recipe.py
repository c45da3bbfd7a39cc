"""What an image embedder is trained on and how; the content of a recipe's TOML file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.recipe_file import checked_recipe, read_settings
from dragoman_models.training import Precision
from dragoman_models.vision.verification.augmentation import Augmentation
from dragoman_models.vision.verification.class_batches import BatchShape
from dragoman_models.vision.verification.network import EmbeddingConfig
from dragoman_models.vision.verification.one_shot import Protocol
from dragoman_models.vision.verification.triplet_loss import Distance, Mining
from dragoman_models.vision.verification.unsteady_hand import Hand


class Validation(BaseModel):
    """How classes that training does not see steer it: by one-shot runs among them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_updates: int = Field(default=250, ge=1)
    protocol: Protocol = "within"
    ways: int = Field(default=20, ge=2)
    episodes: int = Field(default=400, ge=1)


class ImageEmbedderRecipe(BaseModel):
    """Every setting of a training run. Paths are relative to the recipe file.

    The images are either Omniglot's archives, divided by alphabet, or a folder with one folder a
    person (or whatever else is to be recognised), divided by person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    omniglot: tuple[Path, ...] = Field(default=(), description="zip archives of drawings")
    valid_groups: tuple[str, ...] = Field(default=(), description="alphabets that steer training")
    test_groups: tuple[str, ...] = Field(default=(), description="alphabets to be tested on")
    identities: Path | None = Field(default=None, description="a folder with a folder a person")
    valid_share: float = Field(default=0.15, gt=0, lt=1, description="of the people")
    test_share: float = Field(default=0.15, gt=0, lt=1, description="of the people")

    network: EmbeddingConfig = EmbeddingConfig()
    augmentation: Augmentation = Augmentation()
    class_augmentation: Augmentation | None = Field(
        default=None,
        description="of all images of a class in a batch alike, which makes another class of it",
    )
    validation: Validation = Validation()
    dropout: float = Field(default=0.0, ge=0, lt=1, description="before the last layer")
    mining: Mining = "semi_hard"
    semi_hard_updates: int = Field(
        default=0, ge=0, description="first updates, semi-hard though `mining` is batch_hard"
    )
    margin: float = Field(default=0.2, gt=0, le=4)
    distance: Distance = "squared"
    classes_per_batch: int = Field(default=32, ge=2, description="P")
    images_per_class: int = Field(default=4, ge=2, description="K")
    quarter_turns: bool = Field(default=False, description="turned classes are classes too")
    invented_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="of a batch's classes, invented and never repeated",
    )
    hand: Hand = Hand()
    group_share: float = Field(default=0.0, ge=0, le=1, description="of batches, of one group each")
    seed: int = Field(default=1, ge=0)
    updates: int = Field(default=10_000, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    warmup_updates: int = Field(default=100, ge=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    average_decay: float = Field(default=0.995, ge=0, lt=1, description="of the weights' average")
    checkpoint_updates: int = Field(default=500, ge=1)
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _check(self) -> ImageEmbedderRecipe:
        if bool(self.omniglot) == bool(self.identities):
            raise ValueError("give either omniglot or identities")
        if self.omniglot and not (self.valid_groups and self.test_groups):
            raise ValueError("give valid_groups and test_groups, alphabets that are not learnt")
        if self.invented_share and (self.network.color, self.network.framing) != ("grey", "ink"):
            raise ValueError('invented_share needs a network of color "grey" and framing "ink"')
        if set(self.valid_groups) & set(self.test_groups):
            raise ValueError("valid_groups and test_groups must not share an alphabet")
        if self.identities and self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share leave nobody to learn from")
        return self

    @property
    def invented_classes(self) -> int:
        """Invented classes of a batch."""
        return round(self.invented_share * self.classes_per_batch)

    @property
    def batch_shape(self) -> BatchShape:
        """How the classes of a batch that are not invented are drawn."""
        return BatchShape(
            classes=self.classes_per_batch - self.invented_classes,
            images=self.images_per_class,
            quarter_turns=self.quarter_turns,
            group_share=self.group_share,
        )


def read_recipe(path: Path | None, *, identities: Path | None = None) -> ImageEmbedderRecipe:
    """Reads a recipe file; `identities` takes the place of the images that it names.

    Without a file, the recipe is `PEOPLE`.

    Raises:
        TrainingError: the file is missing, is not TOML, or a setting is wrong (which is named).
    """
    settings = dict(PEOPLE) if path is None else read_settings(path)
    if identities is not None:
        for name in ("omniglot", "valid_groups", "test_groups"):
            settings.pop(name, None)
        settings["identities"] = identities.absolute()
    recipe = checked_recipe(ImageEmbedderRecipe, settings, path)
    folder = Path() if path is None else path.parent
    return recipe.model_copy(
        update={
            "omniglot": tuple(folder / archive for archive in recipe.omniglot),
            "identities": recipe.identities and folder / recipe.identities,
        }
    )


# Colour pictures of people's faces, aligned (docs/verification.md).
PEOPLE: dict[str, object] = {
    "network": {
        "image_size": 96, "color": "rgb", "stem": 32, "stages": (64, 96, 128, 192),
        "dimensions": 128,
    },
    "augmentation": {
        "rotation": 8.0, "shear": 0.05, "scale": 0.1, "shift": 0.06, "bend": 0.0, "flip": True,
        "brightness": 0.2, "contrast": 0.3,
    },
    "validation": {"protocol": "mixed", "ways": 5},
    "classes_per_batch": 16,
    "updates": 6_000,
}  # fmt: skip
