"""A network's weights as a bundle stores them: in 16 bits, or matrices in 8 with a scale a row.

Row r of a matrix becomes codes q = round(r / s) with s = max|r| / 127; s q is within s / 2 of r in
each component. What is no matrix (biases) stays in 16 bits, which costs next to nothing.
"""

from __future__ import annotations

import enum
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dragoman_models.arrays import Array, Floats

if TYPE_CHECKING:
    from torch import Tensor

_SCALE = ".row_scale"
_LARGEST_CODE = 127


class WeightEncoding(enum.Enum):
    """The value stands in config.json as ``weight_encoding``."""

    FLOAT16 = "float16"
    INT8_ROWS = "int8-rows"


def encode_weights(weights: Mapping[str, Tensor], encoding: WeightEncoding) -> dict[str, Tensor]:
    """The tensors to store; those of a matrix in 8 bits are its codes and, beside them, scales."""
    import torch  # which a server that only decodes need not load

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


class DecodedWeights(Mapping[str, Floats]):
    """The weights in float32, whatever their encoding: each is decoded whenever it is asked for,
    so that what is read once is not kept in two types."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        """Raises:
        ValueError: codes without scales, scales without codes, or shapes that do not fit.
        """
        self._tensors = tensors
        for name, tensor in tensors.items():
            if name.endswith(_SCALE):
                if tensors.get(name.removesuffix(_SCALE), tensor).dtype != np.int8:
                    raise ValueError(f"{name} belongs to no 8-bit weight")
            elif tensor.dtype == np.int8:
                scale = tensors.get(name + _SCALE)
                if scale is None or scale.shape != tensor.shape[:1]:
                    raise ValueError(f"{name} is in 8 bits; {name}{_SCALE} must hold a scale a row")
        self.shapes = {
            name: tensor.shape for name, tensor in tensors.items() if not name.endswith(_SCALE)
        }

    def __getitem__(self, name: str) -> Floats:
        if name not in self.shapes:
            raise KeyError(name)
        tensor = self._tensors[name]
        decoded: Floats = np.asarray(tensor, dtype=np.float32)
        if tensor.dtype == np.int8:
            decoded *= self._tensors[name + _SCALE][:, None]
        return decoded

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def decode_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What ``encode_weights`` gave, as weights in float32; raises as `DecodedWeights` does."""
    return as_torch(DecodedWeights({name: tensor.numpy() for name, tensor in tensors.items()}))


def as_torch(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """Tensors over the arrays, which nobody may write to where they are read-only."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def check_enough(shapes: Iterable[Sequence[int]], fewest: int) -> None:
    """Before a network is made after a config that somebody else wrote: its size is then bounded by
    that of the weights, which are there.

    Raises:
        ValueError: the weights are fewer than any network of the config has.
    """
    count = sum(math.prod(shape) for shape in shapes)
    if count < fewest:
        raise ValueError(
            f"there are {count:,} weights; the network of config.json has at least {fewest:,}"
        )
