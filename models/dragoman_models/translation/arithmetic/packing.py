"""Weights as the compiled loops read them: rounded to a kind of number, and in panels."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dragoman_models.arrays import Array, Floats
from dragoman_models.translation.arithmetic.tiles import ROWS

_LARGEST_CODE = 127
_ACTIVATION_ZERO = 128  # the code of an activation of 0


class Precision(enum.Enum):
    """The numbers that matrices and activations are rounded to; sums are wider."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"

    @property
    def group(self) -> int:
        """Components of a row that lie side by side: as many as an instruction adds up."""
        return {"float32": 1, "bfloat16": 2, "int8": 4}[self.value]

    def room(self, rows: int, columns: int) -> Array:
        """For activations that are yet to be written, with rows behind the last one, which may
        hold anything: tiles are computed whole."""
        kind: Any = {"float32": np.float32, "bfloat16": np.uint16, "int8": np.uint8}[self.value]
        return np.empty((padded_rows(rows), columns), kind)

    def activations(self, rows: int, columns: int) -> Array:
        """Activations of zero, with as many rows."""
        zeros = self.room(rows, columns)
        zeros.fill(_ACTIVATION_ZERO if self is Precision.INT8 else 0)
        return zeros

    def rounded(self, values: Floats) -> Array:
        """Numbers from -1 to 1, (N, K), as activations (padded N, K)."""
        codes = self.room(*values.shape)
        if self is Precision.INT8:
            codes[: len(values)] = np.rint(values * _LARGEST_CODE) + _ACTIVATION_ZERO
        else:
            is_whole = self is Precision.FLOAT32
            codes[: len(values)] = values if is_whole else rounded_to_bfloat16(values)
        return codes

    def sums(self, columns: int) -> Array:
        """Where a tile leaves its sums."""
        return np.empty((ROWS, columns), np.int32 if self is Precision.INT8 else np.float32)


def padded_rows(rows: int) -> int:
    """So many that a tile may begin at any of `rows`."""
    return rows + ROWS - 1


def rounded_to_bfloat16(values: Floats) -> NDArray[np.uint16]:
    """The nearest bfloat16, ties to even, as its 16 bits. Values must be finite."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


@dataclass(frozen=True, kw_only=True)
class PackedMatrix:
    """A matrix (outputs, inputs) in panels; activations a of -1 to 1 give

        scales * (starts + activations @ weights) = matrix @ a, up to rounding.

    ``weights`` (panels, inputs / g, C, g); ``starts`` and ``scales`` (panels, C); C outputs a panel
    """

    weights: Array
    starts: Array
    scales: Floats


def pack(matrix: Floats, precision: Precision, *, panel: int) -> PackedMatrix:
    """Packs (outputs, inputs), ``panel`` outputs side by side; what they lack is filled with zeros.

    In 8 bits each output's weights have a scale of their own, the largest of them being 127; the
    activations' is 127 for all, because they come from tanh or an average of such.
    """
    outputs = -(-len(matrix) // panel) * panel
    inputs = matrix.shape[1]
    filled = np.zeros((outputs, inputs), np.float32)
    filled[: len(matrix)] = matrix
    starts: Array = np.zeros(outputs, np.float32)
    scales = np.ones(outputs, np.float32)
    codes: Array = filled
    if precision is Precision.BFLOAT16:
        codes = rounded_to_bfloat16(filled)
    elif precision is Precision.INT8:
        largest = np.abs(filled).max(axis=1) / _LARGEST_CODE
        scales = np.where(largest == 0, np.float32(1), largest).astype(np.float32)
        codes = np.rint(filled / scales[:, None]).astype(np.int8)
        starts = (-_ACTIVATION_ZERO * codes.sum(axis=1, dtype=np.int64)).astype(np.int32)
        scales = scales / np.float32(_LARGEST_CODE)
    grouped = codes.reshape(-1, panel, inputs // precision.group, precision.group)
    return PackedMatrix(
        weights=np.ascontiguousarray(grouped.transpose(0, 2, 1, 3)),
        starts=starts.reshape(-1, panel),
        scales=cast(Floats, scales.reshape(-1, panel)),
    )
