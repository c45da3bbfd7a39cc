"""The embedding network: a stem that halves the resolution, then residual stages that do so too.

Most of a network's time goes into its first layers, where there are most pixels; so the stem is one
5 x 5 convolution with a stride of 2 and few channels.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from dragoman_models.vision.verification.image_preparation import ColorMode, Framing, channels_of

_AT_ONCE = 128  # images, to bound the memory of their activations


class EmbeddingConfig(BaseModel):
    """The sizes of an embedding network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int = Field(default=32, ge=8, le=512, description="pixels of a side")
    color: ColorMode = "grey"
    framing: Framing = Field(default="whole", description="ink: only what is drawn, of one size")
    stem: int = Field(default=32, ge=1, le=2048, description="channels of the stem")
    stages: tuple[int, ...] = Field(
        default=(64, 96, 128), min_length=1, max_length=8, description="channels of each"
    )
    dimensions: int = Field(default=64, ge=2, le=4096, description="of an embedding")

    @model_validator(mode="after")
    def _check(self) -> EmbeddingConfig:
        if any(not 1 <= channels <= 2048 for channels in self.stages):
            raise ValueError("stages: channels must be from 1 to 2,048")
        if self.final_size < 1:
            raise ValueError(
                f"{len(self.stages)} stages leave nothing of {self.image_size} pixels; "
                "give fewer stages or a greater image_size"
            )
        return self

    @property
    def final_size(self) -> int:
        """Pixels of a side after the last stage."""
        return (self.image_size + 1) // 2 >> len(self.stages)

    def fewest_weights(self) -> int:
        """No network of these sizes has fewer weights."""
        sizes = (self.stem, *self.stages)
        convolutions = sum(9 * own * (before + own) for before, own in itertools.pairwise(sizes))
        return convolutions + self.dimensions * self.stages[-1] * self.final_size**2


class _Stage(nn.Module):
    """relu(c + bn(conv(c))) with c = relu(bn(conv(x))), then the maximum of each 2 x 2 pixels."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(before, channels, 3, padding=1, bias=False)
        self.enter_norm = nn.BatchNorm2d(channels)
        self.residual = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.residual_norm = nn.BatchNorm2d(channels)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, channels, S // 2, S // 2)"""
        entered = F.relu(self.enter_norm(self.enter(images)))
        return F.max_pool2d(F.relu(entered + self.residual_norm(self.residual(entered))), 2)


class EmbeddingNetwork(nn.Module):
    """Images to vectors of length 1; their distance says how unlike the images' classes are.

    The images are standardised with one mean and one deviation a channel, kept with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: EmbeddingConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        channels = channels_of(config.color)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.stem = nn.Conv2d(channels, config.stem, 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(config.stem)
        sizes = (config.stem, *config.stages)
        self.stages = nn.ModuleList(
            _Stage(before, own) for before, own in itertools.pairwise(sizes)
        )
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(config.stages[-1] * config.final_size**2, config.dimensions)

    def standardize_by(self, pixels: NDArray[np.uint8]) -> None:
        """Sets mean and deviation to those of these images, (N, C, S, S), taken as 0 to 1."""
        counts = [np.bincount(pixels[:, c].ravel(), minlength=256) for c in range(len(self.mean))]
        shares = torch.from_numpy(np.array(counts) / counts[0].sum())  # (C, 256)
        values = torch.linspace(0, 1, 256, dtype=torch.float64)
        mean = shares @ values  # (C, 256) @ (256,) -> (C,)
        self.mean.copy_(mean)
        self.deviation.copy_((shares @ values.square() - mean.square()).sqrt().clamp(min=1e-3))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, S, S), from 0 to 1 -> (B, D), in float32, each of length 1."""
        mean, deviation = self.mean[:, None, None], self.deviation[:, None, None]
        hidden = (images - mean) / deviation
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        hidden = F.relu(self.stem_norm(self.stem(hidden)))
        for stage in self.stages:
            hidden = stage(hidden)
        vectors = self.project(self.dropout(hidden.flatten(1)))  # (B, C * s * s) -> (B, D)
        return F.normalize(vectors.float(), dim=1)


@torch.inference_mode()
def embedded(network: EmbeddingNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vectors (N, D) of prepared images (N, C, S, S), by a network that is set to evaluate."""
    network.eval()
    parts = [
        network(torch.from_numpy(pixels[start : start + _AT_ONCE]).float() / 255)
        for start in range(0, len(pixels), _AT_ONCE)
    ]
    vectors: NDArray[np.float32] = torch.cat(parts).numpy()
    return vectors
