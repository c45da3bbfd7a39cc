"""What an operator can set about Ray: the table `ray`, and in it one for each kind of model."""

import importlib.util
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Replicas = Annotated[int, Field(ge=1, le=10_000)]
Requests = Annotated[int, Field(ge=1, le=100_000)]
Delay = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Autoscaling(BaseModel):
    """Ray Serve keeps as many replicas as have `target_ongoing_requests` each. A translator's
    request is a batch, a language model's a stream or a scored batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: Replicas = Field(default=1, description="the fewest")
    max_replicas: Replicas = Field(description="the most")
    target_ongoing_requests: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        default=1.0, description="requests in work or waiting, for each replica"
    )
    upscale_delay_seconds: Delay = Field(default=10.0, description="before replicas are added")
    downscale_delay_seconds: Delay = Field(default=300.0, description="before they are removed")

    @model_validator(mode="after")
    def _check_order(self) -> "Autoscaling":
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is more than max_replicas; lower the one or raise it")
        return self


class RayFamily(BaseModel):
    """The replicas of each model of a family; by default of translators."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: Replicas | None = Field(
        default=None, description="how many, where autoscaling is not set; 1 by default"
    )
    autoscaling: Autoscaling | None = Field(default=None, description="replicas by demand")
    cpus: Annotated[float, Field(ge=0, le=1_024, allow_inf_nan=False)] | None = Field(
        default=None,
        description="cores that Ray reserves for each replica; 1 by default, in a Ray of its own 0",
    )
    max_ongoing_requests: Requests = Field(
        default=2, description="that one replica takes on at the same time"
    )
    max_queued_requests: Requests = Field(
        default=1_000, description="that wait for a replica; more are refused"
    )

    @model_validator(mode="after")
    def _check_replicas(self) -> "RayFamily":
        scaled = self.autoscaling
        if scaled is not None and self.replicas is not None:
            raise ValueError("replicas and autoscaling exclude each other; unset one of them")
        if scaled is not None and scaled.target_ongoing_requests > self.max_ongoing_requests:
            raise ValueError(
                "autoscaling.target_ongoing_requests is more than max_ongoing_requests, so there "
                "would never be more replicas; lower the one or raise the other"
            )
        return self

    def most_replicas(self) -> int:
        """How many replicas one model may have."""
        return self.autoscaling.max_replicas if self.autoscaling else self.replicas or 1


class RayLanguageModels(RayFamily):
    """The replicas of each language model, which draws for many at the same time."""

    max_ongoing_requests: Requests = Field(
        default=64, description="that one replica takes on at the same time"
    )


class RaySettings(BaseModel):
    """Which Ray, and the replicas of each family in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[str, Field(min_length=1, pattern=r"^\S+$")] = Field(
        default="local",
        description='"local": a Ray of its own on this machine, which ends with the server; '
        '"auto" or HOST:PORT: the cluster that this machine has joined',
    )
    object_store_bytes: Annotated[int, Field(ge=80 * 1024**2, le=2**50)] | None = Field(
        default=None,
        description="shared memory for weights, of a Ray of its own; by default Ray's own choice",
    )
    start_seconds: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = Field(
        default=240.0, description="until the first replica of a model must have loaded it"
    )
    translation: RayFamily = Field(default=RayFamily(), description="for translators")
    language_model: RayLanguageModels = Field(
        default=RayLanguageModels(), description="for language models"
    )

    vision: RayFamily = Field(default=RayFamily(), description="for models of images")

    @model_validator(mode="after")
    def _check_address(self) -> "RaySettings":
        if self.address.startswith("ray://"):
            raise ValueError(
                "address is that of a Ray client, which Ray Serve passes no streams through; join "
                "the cluster with `ray start --address=HOST:PORT --num-cpus=0` and write that "
                'HOST:PORT or "auto"'
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether the server has a Ray of its own."""
        return self.address == "local"

    def of_texts(self) -> dict[str, RayFamily]:
        """The settings of each family of models that work on text, and have replicas."""
        return {"translation": self.translation, "language_model": self.language_model}

    def table(self, family: str) -> str:
        """The table that sets the replicas of a family; all models of images have one."""
        return family if family in self.of_texts() else "vision"

    def of_family(self, family: str) -> RayFamily:
        """The settings of any family that has replicas."""
        return self.of_texts().get(family, self.vision)

    def counts(self) -> dict[str, int]:
        """The most replicas of one model that works on text, by family."""
        return {name: family.most_replicas() for name, family in self.of_texts().items()}

    def vision_count(self) -> int:
        """The most replicas of one model of images."""
        return self.vision.most_replicas()


def ray_is_installed() -> bool:
    """Whether Ray is there; that it works is seen when it starts."""
    return importlib.util.find_spec("ray") is not None
