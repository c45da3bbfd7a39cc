"""1x1 convolutions as what they are: one matrix product over all pixels.

Measured here on a training step of EfficientNet-Lite0 in channels-last order: with products in
bfloat16 and everything else in float32 it takes 0.81 of the time of float32 throughout, while
bfloat16 throughout takes 1.3 times as long, because of the depthwise convolutions' gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Pointwise(nn.Conv2d):
    """A 1x1 convolution whose products are in `product_dtype`; its weights stay in float32."""

    product_dtype: torch.dtype = torch.float32

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W), float32."""
        if self.product_dtype is torch.float32:
            return super().forward(inputs)
        pixels = inputs.permute(0, 2, 3, 1)  # (B, H, W, inputs), a view where channels are last
        weight = self.weight[:, :, 0, 0]  # (outputs, inputs)
        with torch.autocast("cpu", self.product_dtype):
            products = F.linear(pixels, weight, self.bias)
        return products.float().permute(0, 3, 1, 2)


def set_product_dtype(network: nn.Module, dtype: torch.dtype) -> None:
    """Let all 1x1 convolutions of a network multiply in ``dtype``."""
    for module in network.modules():
        if isinstance(module, Pointwise):
            module.product_dtype = dtype
