"""The shape of a residual classifier, as a recipe and a bundle's config.json state it."""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ResidualNetworkConfig(BaseModel):
    """Everything that the weights depend on.

    A stem at the image's own resolution, then stages of residual blocks, each of which begins by
    halving height and width.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(default=1, ge=1, le=3, description="of the image: 1 grey, 3 colours")
    classes: int = Field(default=10, ge=2, le=100_000)
    stem_width: int = Field(default=32, ge=1, le=4096, description="feature maps of the stem")
    widths: tuple[int, ...] = Field(default=(64, 128), min_length=1, max_length=6)
    blocks: tuple[int, ...] = Field(default=(2, 2), description="residual blocks of each stage")

    @model_validator(mode="after")
    def _check(self) -> ResidualNetworkConfig:
        if len(self.blocks) != len(self.widths):
            raise ValueError("blocks and widths must have a number for each stage")
        if not all(1 <= width <= 4096 for width in self.widths):
            raise ValueError("widths must be from 1 to 4096")
        if not all(1 <= count <= 64 for count in self.blocks):
            raise ValueError("blocks must be from 1 to 64")
        return self

    def fewest_weights(self) -> int:
        """A network of this shape has at least so many: its 3 x 3 kernels and its head."""
        total = 9 * self.channels * self.stem_width + self.widths[-1] * self.classes
        for (before, width), count in zip(
            pairwise((self.stem_width, *self.widths)), self.blocks, strict=True
        ):
            total += 9 * width * (before + (2 * count - 1) * width)
        return total
