"""The convolutions of EfficientNet-Lite0, up to its features at strides 8, 16 and 32.

Inverted residual blocks (Sandler et al. 2018) in the sizes that Tan and Le (2019) searched, in the
variant for phones: ReLU6 and no squeeze-and-excitation. Names of weights are those of the
published file, so that it can be read without a table of names. Images are filled up alike on all
sides, where the published network does so at the far edges alone: its features, a few pixels aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dragoman_models.vision.detection.pointwise import Pointwise

_NORM_EPSILON = 1e-3  # of the published weights
_NORM_MOMENTUM = 0.01
STEM_CHANNELS = 32
FEATURE_STRIDES = (8, 16, 32)
FEATURE_CHANNELS = (40, 112, 320)


@dataclass(frozen=True, kw_only=True)
class BlockSize:
    """One inverted residual block: its kernel, stride, expansion and channels."""

    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int


# Kernel, stride of the first block, expansion, inputs, outputs, number of blocks.
_STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
    (3, 1, 6, 192, 320, 1),
)
PART_COUNT = 17  # the stem and sixteen blocks
FEATURE_BLOCKS = (4, 10, 15)  # the last block at each of FEATURE_STRIDES


def block_sizes() -> tuple[BlockSize, ...]:
    """The sixteen blocks, in order."""
    sizes = []
    for kernel, stride, expansion, inputs, outputs, count in _STAGES:
        for index in range(count):
            sizes.append(
                BlockSize(
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    expansion=expansion,
                    inputs=inputs if index == 0 else outputs,
                    outputs=outputs,
                )
            )
    return tuple(sizes)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection without an activation."""

    def __init__(self, size: BlockSize) -> None:
        super().__init__()
        self.size = size
        self.is_residual = size.stride == 1 and size.inputs == size.outputs
        width = size.inputs * size.expansion
        if size.expansion > 1:
            self._expand_conv = Pointwise(size.inputs, width)
            self._bn0 = _norm(width)
        self._depthwise_conv = nn.Conv2d(
            width, width, size.kernel, size.stride, size.kernel // 2, groups=width, bias=False
        )
        self._bn1 = _norm(width)
        self._project_conv = Pointwise(width, size.outputs)
        self._bn2 = _norm(size.outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        hidden = inputs
        if self.size.expansion > 1:
            hidden = F.relu6(self._bn0(self._expand_conv(hidden)))
        hidden = F.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = torch.as_tensor(self._bn2(self._project_conv(hidden)))
        return hidden + inputs if self.is_residual else hidden


class EfficientNetLiteBackbone(nn.Module):
    """Features at strides 8, 16 and 32, of 40, 112 and 320 channels."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self._bn0 = _norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList(InvertedResidual(size) for size in block_sizes())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The features of standardised images (B, 3, H, W); H and W are multiples of 32."""
        hidden = F.relu6(self._bn0(self._conv_stem(images)))  # (B, 32, H / 2, W / 2)
        features = []
        for index, block in enumerate(self._blocks):
            hidden = block(hidden)
            if index in FEATURE_BLOCKS:
                features.append(hidden)
        return tuple(features)

    def parts(self) -> tuple[nn.Module, ...]:
        """Stem (with its normalisation) and blocks in order, for who freezes the first of them."""
        return (nn.ModuleList([self._conv_stem, self._bn0]), *self._blocks)

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of the published classifier, whose head is not used.

        Raises ValueError where a weight is missing or has another shape.
        """
        own = self.state_dict()
        for name, weight in own.items():
            given = weights.get(name)
            if given is None or given.shape != weight.shape:
                raise ValueError(f"the weights of EfficientNet-Lite0 have no fitting {name}")
        with torch.no_grad():
            self.load_state_dict({name: weights[name] for name in own})


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
