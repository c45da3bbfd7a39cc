"""A network's layers as the compiled loops take them: packed weights with biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.embeddings.training.simd import LANES
from dragoman_models.translation.arithmetic.dense import linear
from dragoman_models.translation.arithmetic.packing import PackedMatrix, Precision, pack
from dragoman_models.translation.arithmetic.tiles import DENSE_VECTORS, GATE_VECTORS

DENSE_PANEL = LANES * DENSE_VECTORS
GATE_PANEL = LANES * GATE_VECTORS
_GATES = 3  # reset, update, new
_TABLE_CHUNK = 1000  # tokens whose gates are computed at a time


def gates_by_unit(matrix: Floats) -> Floats:
    """(3H, K) in the order reset, update, new -> the three gates of each 16 units side by side."""
    grouped = matrix.reshape(_GATES, -1, LANES, matrix.shape[1])
    return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(matrix.shape)


class DenseLayer:
    """W a + b of activations."""

    def __init__(self, weight: Floats, bias: Floats | None, precision: Precision) -> None:
        """Args: weight: (outputs, inputs); missing outputs of the last panel are zeros."""
        self.precision = precision
        self.packed = pack(weight, precision, panel=DENSE_PANEL)
        self.bias = np.zeros((len(self.packed.weights), DENSE_PANEL), np.float32)
        if bias is not None:
            self.bias.reshape(-1)[: len(bias)] = bias

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


class TokenGates:
    """The part of a GRU's gates that reads a token: W e + b, with all biases but the hidden part's
    of the new gate. It is (V, H / 16, 48): the three gates of each 16 units side by side."""

    def __init__(
        self, embedding: Floats, weight: Floats, bias: Floats, precision: Precision, *,
        tabulated: bool,
    ) -> None:  # fmt: skip
        """Args:
        embedding: (V, E), of which the gates read the products with ``weight`` (3H, E).
        tabulated: whether it is computed for all tokens now, or for some when they are there.
        """
        self._embedding = embedding
        self._weight, self._bias = gates_by_unit(weight).T, gates_by_unit(bias[:, None])[:, 0]
        self._table: Array | None = None
        if tabulated:
            self._table = self._whole_table(is_half=precision is not Precision.FLOAT32)
            del self._embedding, self._weight, self._bias

    def _whole_table(self, *, is_half: bool) -> Array:
        """float32, or half precision as uint16."""
        size = len(self._embedding), len(self._bias)
        table: Array = np.empty(size, np.float16 if is_half else np.float32)
        for first in range(0, len(table), _TABLE_CHUNK):
            part = slice(first, first + _TABLE_CHUNK)
            table[part] = self._computed(self._embedding[part])
        return table.view(np.uint16 if is_half else np.float32).reshape(len(table), -1, GATE_PANEL)

    def _computed(self, rows: Floats) -> Floats:
        gates: Floats = rows @ self._weight
        gates += self._bias
        return gates

    def __call__(self, tokens: Integers) -> tuple[Array, Integers]:
        """A table that has the tokens (of any shape), and where in it each of them is."""
        if self._table is not None:
            return self._table, tokens
        there, places = np.unique(tokens, return_inverse=True)
        gates = self._computed(self._embedding[there])
        return gates.reshape(len(there), -1, GATE_PANEL), places.reshape(tokens.shape)


@dataclass(frozen=True, kw_only=True)
class GateLayer:
    """The gates of a GRU, those that read its own state and those that read a token.

    ``new_bias`` (H,) is the hidden part of the new gate's.
    """

    recurrent: PackedMatrix
    of_tokens: TokenGates
    new_bias: Floats


def gate_layer(
    embedding: Floats, scale: float, *, input_weight: Floats, input_bias: Floats,
    hidden_weight: Floats, hidden_bias: Floats, precision: Precision, tabulated: bool,
) -> GateLayer:  # fmt: skip
    """Of a GRU in the arrangement of torch.nn.GRU that reads ``scale`` times an embedding."""
    units = hidden_weight.shape[1]
    bias = input_bias.copy()
    bias[: 2 * units] += hidden_bias[: 2 * units]
    weight = input_weight * scale
    return GateLayer(
        recurrent=pack(gates_by_unit(hidden_weight), precision, panel=GATE_PANEL),
        of_tokens=TokenGates(embedding, weight, bias, precision, tabulated=tabulated),
        new_bias=hidden_bias[2 * units :].copy(),
    )
