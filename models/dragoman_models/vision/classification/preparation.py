"""From an image of any size to what a network takes: fitted, standardized, as float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.results import RgbImage

Floats: TypeAlias = NDArray[np.float32]

_LARGEST_SIDE = 4096


class ImagePreparation(BaseModel):
    """How a bundle's network wants its images; the part `preparation` of its config.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=1, le=_LARGEST_SIDE)
    width: int = Field(ge=1, le=_LARGEST_SIDE)
    channels: Literal[1, 3] = 3
    fitting: Literal["pad", "crop"] = Field(
        description="pad: all of the image, with margins; crop: its middle"
    )
    crop_share: float = Field(
        default=1.0, gt=0, le=1, description="of the largest middle part of the right shape"
    )
    mean: tuple[float, ...] = Field(description="of each channel, where the largest value is 1")
    deviation: tuple[float, ...]
    negate_light: bool = Field(
        default=False, description="the network knows black backgrounds: light ones are negated"
    )

    @model_validator(mode="after")
    def _check(self) -> ImagePreparation:
        for name in ("mean", "deviation"):
            values = getattr(self, name)
            if len(values) != self.channels or not np.isfinite(values).all():
                raise ValueError(f"{name} must have a finite number for each channel")
        if min(self.deviation) <= 0:
            raise ValueError("deviation must be above 0")
        return self

    def prepared(self, images: Sequence[RgbImage]) -> Floats:
        """(N, channels, height, width), standardized.

        Raises:
            InvalidInputError: of the field images[i]: no image (height, width, 3) of bytes, or one
                without pixels.
        """
        batch = np.empty((len(images), self.height, self.width, self.channels), np.float32)
        for row, image in enumerate(images):
            batch[row] = self._fitted(_checked(image, row))
        mean = np.array(self.mean, np.float32) * 255
        deviation = np.array(self.deviation, np.float32) * 255
        return ((batch - mean) / deviation).transpose(0, 3, 1, 2)

    def _fitted(self, pixels: RgbImage) -> NDArray[np.uint8]:
        image = Image.fromarray(pixels, "RGB")
        if self.channels == 1:
            image = image.convert("L")
        if self.negate_light and _has_light_border(image):
            image = _negated(image)
        fitted = self._padded(image) if self.fitting == "pad" else self._cropped(image)
        return np.asarray(fitted, np.uint8).reshape(self.height, self.width, self.channels)

    def _padded(self, image: Image.Image) -> Image.Image:
        """All of it, scaled to touch two sides, in the middle of black."""
        if image.size == (self.width, self.height):
            return image
        scale = min(self.width / image.width, self.height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new(image.mode, (self.width, self.height))
        place = ((self.width - size[0]) // 2, (self.height - size[1]) // 2)
        canvas.paste(image.resize(size, Image.Resampling.BICUBIC), place)
        return canvas

    def _cropped(self, image: Image.Image) -> Image.Image:
        """The middle of it, scaled once."""
        scale = self.crop_share * min(image.width / self.width, image.height / self.height)
        width, height = self.width * scale, self.height * scale
        left, top = (image.width - width) / 2, (image.height - height) / 2
        return image.resize(
            (self.width, self.height),
            Image.Resampling.BICUBIC,
            box=(left, top, left + width, top + height),
        )


def _checked(image: RgbImage, row: int) -> RgbImage:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InvalidInputError.single(
            f"images[{row}]",
            f"must be (height, width, 3) of unsigned bytes with pixels, not {image.dtype} "
            f"{image.shape}",
        )
    return image


def _negated(image: Image.Image) -> Image.Image:
    """The negative, with the border's tone as black: paper is seldom quite white."""
    grey = np.asarray(image.convert("L"))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))  # above 127
    levelled = (paper - np.asarray(image, np.float32)) * (255 / paper)
    return Image.fromarray(levelled.clip(0, 255).round().astype(np.uint8))


def _has_light_border(image: Image.Image) -> bool:
    """Whether more than half of the outermost pixels, and of the corners, are light."""
    grey = np.asarray(image.convert("L"))
    corners = grey[[0, 0, -1, -1], [0, -1, 0, -1]]
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return bool(np.median(border) > 127 and np.median(corners) > 127)
