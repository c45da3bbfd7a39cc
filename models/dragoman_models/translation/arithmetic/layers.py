"""A network's layers as the compiled loops take them: packed weights with biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from dragoman_models.embeddings.training.simd import LANES
from dragoman_models.translation.arithmetic.dense import linear
from dragoman_models.translation.arithmetic.packing import (
    Array,
    Floats,
    PackedMatrix,
    Precision,
    pack,
)
from dragoman_models.translation.arithmetic.tiles import DENSE_VECTORS, GATE_VECTORS

DENSE_PANEL = LANES * DENSE_VECTORS
GATE_PANEL = LANES * GATE_VECTORS
_GATES = 3  # reset, update, new
_TABLE_CHUNK = 1000  # tokens whose gates are computed at a time


def as_array(tensor: Tensor) -> Floats:
    """Contiguous float32."""
    return cast(Floats, tensor.detach().float().contiguous().numpy())


def gates_by_unit(matrix: Floats) -> Floats:
    """(3H, K) in the order reset, update, new -> the three gates of each 16 units side by side."""
    grouped = matrix.reshape(_GATES, -1, LANES, matrix.shape[1])
    return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(matrix.shape)


class DenseLayer:
    """W a + b of activations."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        """Args: weight: (outputs, inputs); missing outputs of the last panel are zeros."""
        self.precision = precision
        self.packed = pack(as_array(weight), precision, panel=DENSE_PANEL)
        self.bias = np.zeros((len(self.packed.weights), DENSE_PANEL), np.float32)
        if bias is not None:
            self.bias.reshape(-1)[: len(bias)] = as_array(bias)

    @property
    def operands(self) -> tuple[Array, Array, Floats, Array, Floats]:
        """Weights, starts, scales, room for sums, and biases."""
        packed = self.packed
        sums = self.precision.sums(DENSE_PANEL)
        return packed.weights, packed.starts, packed.scales, sums, self.bias

    def __call__(self, codes: Array, rows: int) -> Floats:
        """(padded N, inputs) -> (N, outputs rounded up to whole panels)."""
        result = np.empty((rows, self.bias.size), np.float32)
        linear(codes, *self.operands, result)
        return result


@dataclass(frozen=True, kw_only=True)
class GateLayer:
    """The gates of a GRU that read its own state, and a table of those that read a token.

    ``table`` (V, H / 16, 48): each token's part with all biases but ``new_bias`` (H,), the hidden
    part of the new gate's; float32, or half precision as uint16.
    """

    recurrent: PackedMatrix
    table: Array
    new_bias: Floats


def gate_layer(
    embedding: nn.Embedding, scale: float, *, input_weight: Tensor, input_bias: Tensor,
    hidden_weight: Tensor, hidden_bias: Tensor, precision: Precision,
) -> GateLayer:  # fmt: skip
    """Of a GRU in the arrangement of torch.nn.GRU that reads ``scale`` times an embedding."""
    units = hidden_weight.size(1)
    bias = input_bias.detach().clone()
    bias[: 2 * units] += hidden_bias[: 2 * units]
    weight = torch.from_numpy(gates_by_unit(as_array(input_weight * scale)))
    added = torch.from_numpy(gates_by_unit(as_array(bias).reshape(-1, 1))).squeeze(1)
    is_whole = precision is Precision.FLOAT32
    table = np.empty((embedding.num_embeddings, len(weight)), np.float32 if is_whole else np.uint16)
    for first in range(0, len(table), _TABLE_CHUNK):
        rows = embedding.weight[first : first + _TABLE_CHUNK].detach()
        gates = as_array(torch.addmm(added, rows.float(), weight.t()))
        table[first : first + len(gates)] = (
            gates if is_whole else gates.astype(np.float16).view(np.uint16)
        )
    return GateLayer(
        recurrent=pack(gates_by_unit(as_array(hidden_weight)), precision, panel=GATE_PANEL),
        table=table.reshape(len(table), -1, GATE_PANEL),
        new_bias=as_array(hidden_bias)[2 * units :].copy(),
    )
