"""Batch normalization folded into the convolutions before it: the same function, fewer steps.

With w, b the convolution's and gamma, beta, m, v the normalization's in use,
w' = w gamma / sqrt(v + eps) and b' = beta + (b - m) gamma / sqrt(v + eps).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# In one module: a convolution and the normalization that follows it.
_PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("depthwise", "depthwise_norm"),
    ("pointwise", "pointwise_norm"),
    ("conv", "norm"),
)


def fold(network: nn.Module) -> None:
    """Folds all normalizations of a network, in place; it can only be used then, not trained."""
    network.eval()
    for module, convolution, normalization in _pairs(network):
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalization))
        setattr(module, convolution, fused)
        setattr(module, normalization, nn.Identity())
    network.requires_grad_(False)


def make_folded(network: nn.Module) -> None:
    """Gives a new network the shape of a folded one, in place, for folded weights to be loaded."""
    network.eval()
    for module, convolution, normalization in _pairs(network):
        one: nn.Conv2d = getattr(module, convolution)
        one.bias = nn.Parameter(torch.zeros(one.out_channels))
        setattr(module, normalization, nn.Identity())
    network.requires_grad_(False)


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    for module in list(network.modules()):
        for convolution, normalization in _PAIRS:
            if isinstance(getattr(module, normalization, None), nn.BatchNorm2d) and hasattr(
                module, convolution
            ):
                yield module, convolution, normalization
