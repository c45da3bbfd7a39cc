"""What a detector is: its classes, the size it sees images in, its anchors and widths."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dragoman_models.vision.detection.backbone import FEATURE_STRIDES

SizePair = tuple[float, float]
STRIDES = FEATURE_STRIDES
LARGEST_STRIDE = STRIDES[-1]


class DetectorConfig(BaseModel):
    """Sizes of a detector; they stand in a bundle's config.json as ``network``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(min_length=1, max_length=1000)
    input_size: int = Field(
        ge=32, le=2048, multiple_of=LARGEST_STRIDE, description="pixels of an image's longer side"
    )
    anchors: tuple[tuple[SizePair, ...], ...] = Field(
        description="width and height in pixels of the input, for each of the strides 8, 16, 32"
    )
    neck_channels: int = Field(default=96, ge=8, le=512)

    @model_validator(mode="after")
    def _check(self) -> DetectorConfig:
        if len(self.anchors) != len(STRIDES) or not all(self.anchors):
            raise ValueError(f"anchors: give at least one for each of the strides {STRIDES}")
        sizes = [side for of_stride in self.anchors for pair in of_stride for side in pair]
        if max(map(len, self.anchors)) > 16 or not all(0 < side <= 8192 for side in sizes):
            raise ValueError("anchors: at most 16 a stride, with sides above 0 and up to 8192")
        if len(set(self.labels)) != len(self.labels) or not all(self.labels):
            raise ValueError("labels: each must have a name of its own")
        return self

    def fewest_weights(self) -> int:
        """No network of these sizes has fewer: those of the pyramid and of the predictions."""
        width = self.neck_channels
        outputs = sum(map(len, self.anchors)) * (5 + len(self.labels))
        return 9 * width * width + width * outputs
