"""A small residual network for images of some dozens of pixels.

He et al. 2016, Deep Residual Learning for Image Recognition: basic blocks. Their shortcut picks
every other pixel; here it averages them first (He et al. 2019, Bag of Tricks, ResNet-D), so that
nothing of the image is thrown away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dragoman_models.vision.classification.network_config import ResidualNetworkConfig


class NormalizedConvolution(nn.Module):
    """A convolution and batch normalization; the latter is folded into the former for serving."""

    def __init__(self, before: int, after: int, size: int, *, stride: int, folded: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, size, stride, size // 2, bias=folded)
        self.normalization = nn.Identity() if folded else nn.BatchNorm2d(after)

    def forward(self, images: Tensor) -> Tensor:  # (B, before, H, W) -> (B, after, H', W')
        normalized: Tensor = self.normalization(self.convolution(images))
        return normalized

    def fold(self) -> None:
        """Multiplies the statistics of training into the kernel; for a network that answers."""
        if isinstance(self.normalization, nn.BatchNorm2d):
            self.convolution = fuse_conv_bn_eval(self.convolution, self.normalization)
            self.normalization = nn.Identity()


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + conv(relu(conv(x)))), 3 x 3 each."""

    def __init__(self, before: int, after: int, *, stride: int, folded: bool) -> None:
        super().__init__()
        self.first = NormalizedConvolution(before, after, 3, stride=stride, folded=folded)
        self.second = NormalizedConvolution(after, after, 3, stride=1, folded=folded)
        self.stride = stride
        self.projection = (
            None
            if stride == 1 and before == after
            else NormalizedConvolution(before, after, 1, stride=1, folded=folded)
        )

    def forward(self, images: Tensor) -> Tensor:  # (B, before, H, W) -> (B, after, H', W')
        shortcut = images
        if self.stride > 1:
            shortcut = F.avg_pool2d(shortcut, self.stride, ceil_mode=True, count_include_pad=False)
        if self.projection is not None:
            shortcut = self.projection(shortcut)
        inner = self.second(F.relu(self.first(images)))
        return F.relu(inner + shortcut)


class ResidualNetwork(nn.Module):
    """Images to logits."""

    def __init__(self, config: ResidualNetworkConfig, *, folded: bool = False) -> None:
        """Random weights, by He et al. 2015; folded: for weights whose normalization is folded."""
        super().__init__()
        self.config = config
        self.stem = NormalizedConvolution(
            config.channels, config.stem_width, 3, stride=1, folded=folded
        )
        blocks: list[nn.Module] = []
        before = config.stem_width
        for width, count in zip(config.widths, config.blocks, strict=True):
            for place in range(count):
                stride = 2 if place == 0 else 1
                blocks.append(ResidualBlock(before, width, stride=stride, folded=folded))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, config.classes)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for block in self.blocks:
            # A block begins as its shortcut (Goyal et al. 2017, section 5.1).
            if isinstance(block, ResidualBlock) and isinstance(
                block.second.normalization, nn.BatchNorm2d
            ):
                nn.init.zeros_(block.second.normalization.weight)

    def features(self, images: Tensor) -> Tensor:
        """(B, channels, H, W), standardized -> (B, width of the last stage): the mean over the
        places of the last feature maps."""
        maps = self.blocks(F.relu(self.stem(images)))
        return torch.mean(maps, dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, H, W), standardized -> logits (B, classes)."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def fold(self) -> None:
        """Folds every normalization into its convolution; call `eval` first."""
        for module in self.modules():
            if isinstance(module, NormalizedConvolution):
                module.fold()
