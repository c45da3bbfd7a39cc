"""The detector's network: backbone, a narrow feature pyramid, and one prediction an anchor.

The pyramid hands what is seen coarsely down to the finer features (Lin et al. 2017), as in YOLO v3
(Redmon and Farhadi 2018, section 2.3).
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dragoman_models.vision.detection.backbone import FEATURE_CHANNELS, EfficientNetLiteBackbone
from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.pointwise import Pointwise

# The share of predictions that begin as objects: RetinaNet, Lin et al. (2017), section 3.3.
_OBJECT_PRIOR = 0.01
BOX_OUTPUTS = 5  # t_x, t_y, t_w, t_h and objectness


class Separable(nn.Module):
    """A depthwise convolution and a 1x1 convolution, each normalised, with ReLU6 at the end."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
        )
        self.depthwise_norm = nn.BatchNorm2d(channels)
        self.pointwise = Pointwise(channels, channels)
        self.pointwise_norm = nn.BatchNorm2d(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        hidden = F.relu6(self.depthwise_norm(self.depthwise(inputs)))
        return F.relu6(self.pointwise_norm(self.pointwise(hidden)))


class Lateral(nn.Module):
    """A normalised 1x1 convolution to the pyramid's width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Pointwise(inputs, outputs)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return torch.as_tensor(self.norm(self.conv(inputs)))


class Head(nn.Module):
    """Predictions of one scale."""

    def __init__(self, channels: int, anchors: int, classes: int) -> None:
        super().__init__()
        self.anchors = anchors
        self.outputs = BOX_OUTPUTS + classes
        self.hidden = nn.Sequential(Separable(channels, 3), Separable(channels, 3))
        self.predict = Pointwise(channels, anchors * self.outputs, bias=True)
        with torch.no_grad():
            nn.init.normal_(self.predict.weight, std=0.01)
            bias = torch.zeros(anchors, self.outputs)
            bias[:, BOX_OUTPUTS - 1] = -math.log((1 - _OBJECT_PRIOR) / _OBJECT_PRIOR)
            self.predict.bias = nn.Parameter(bias.flatten())

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, anchors, H, W, 5 + classes), logits."""
        raw = self.predict(self.hidden(features))  # (B, A * (5 + classes), H, W)
        batch, _, height, width = raw.shape
        shaped = raw.view(batch, self.anchors, self.outputs, height, width)
        return torch.as_tensor(shaped.permute(0, 1, 3, 4, 2))


class DetectorNetwork(nn.Module):
    """From standardised images to logits at the strides 8, 16 and 32."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        width, classes = config.neck_channels, len(config.labels)
        self.backbone = EfficientNetLiteBackbone()
        self.laterals = nn.ModuleList(Lateral(channels, width) for channels in FEATURE_CHANNELS)
        self.smooth = nn.ModuleList(Separable(width, 5) for _ in FEATURE_CHANNELS)
        self.heads = nn.ModuleList(Head(width, len(anchors), classes) for anchors in config.anchors)

    def level(self, index: int) -> tuple[Lateral, Separable, Head]:
        """The parts of one stride."""
        parts = (self.laterals[index], self.smooth[index], self.heads[index])
        return cast(tuple[Lateral, Separable, Head], parts)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits of standardised images (B, 3, H, W), H and W multiples of 32.

        For each stride s, (B, A, H / s, W / s, 5 + classes): the box's t_x, t_y, t_w, t_h,
        objectness, classes.
        """
        features = self.backbone(images)
        above: Tensor | None = None
        outputs = []
        for level in reversed(range(len(features))):
            lateral, smooth, head = self.level(level)
            hidden = lateral(features[level])
            if above is not None:
                hidden = hidden + F.interpolate(above, scale_factor=2.0, mode="nearest")
            above = torch.as_tensor(smooth(hidden))
            outputs.append(torch.as_tensor(head(above)))
        return tuple(reversed(outputs))
