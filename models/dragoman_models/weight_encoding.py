"""A network's weights as a bundle stores them: in 16 bits, or matrices in 8 with a scale a row.

Row r of a matrix becomes codes q = round(r / s) with s = max|r| / 127; s q is within s / 2 of r in
each component. What is no matrix (biases) stays in 16 bits, which costs next to nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import torch
from torch import Tensor

_SCALE = ".row_scale"
_LARGEST_CODE = 127


class WeightEncoding(enum.Enum):
    """The value stands in config.json as ``weight_encoding``."""

    FLOAT16 = "float16"
    INT8_ROWS = "int8-rows"


def encode_weights(weights: Mapping[str, Tensor], encoding: WeightEncoding) -> dict[str, Tensor]:
    """The tensors to store; those of a matrix in 8 bits are its codes and, beside them, scales."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if encoding is WeightEncoding.FLOAT16 or weight.dim() != 2:
            tensors[name] = weight.half()
            continue
        scale = weight.abs().amax(dim=1) / _LARGEST_CODE  # (rows,)
        divisor = torch.where(scale == 0, torch.inf, scale).unsqueeze(1)
        tensors[name] = (weight / divisor).round().to(torch.int8)
        tensors[name + _SCALE] = scale.float()
    return tensors


def decode_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32, whatever their encoding.

    Raises:
        ValueError: codes without scales, scales without codes, or shapes that do not fit.
    """
    weights = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALE):
            if tensors.get(name.removesuffix(_SCALE), tensor).dtype != torch.int8:
                raise ValueError(f"{name} belongs to no 8-bit weight")
            continue
        weights[name] = tensor.float()
        if tensor.dtype == torch.int8:
            scale = tensors.get(name + _SCALE)
            if scale is None or scale.shape != tensor.shape[:1]:
                raise ValueError(f"{name} is in 8 bits; {name}{_SCALE} must hold a scale a row")
            weights[name] *= scale.unsqueeze(1)
    return weights


def check_enough(weights: Mapping[str, Tensor], fewest: int) -> None:
    """Before a network is made after a config that somebody else wrote: its size is then bounded by
    that of the weights, which are there.

    Raises:
        ValueError: the weights are fewer than any network of the config has.
    """
    count = sum(weight.numel() for weight in weights.values())
    if count < fewest:
        raise ValueError(
            f"there are {count:,} weights; the network of config.json has at least {fewest:,}"
        )
