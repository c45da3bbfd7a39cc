"""Compiled loops of linear layers, and of the attentional vector that one of them ends in."""

from __future__ import annotations

from typing import Any

from dragoman_models.embeddings.training.compilation import compiled
from dragoman_models.embeddings.training.simd import (
    LANES,
    add,
    load,
    multiply_add,
    pointer_to,
    store,
)
from dragoman_models.translation.arithmetic.functions import tangent
from dragoman_models.translation.arithmetic.tiles import (
    DENSE_VECTORS,
    ROWS,
    dense_tile,
    load_lanes,
    store_activations,
)

_PANEL = LANES * DENSE_VECTORS


@compiled
def linear(
    codes: Any, weights: Any, starts: Any, scales: Any, sums: Any, bias: Any, result: Any
) -> None:
    """result (N, panels * 64) = activations @ weights + bias (panels, 64); codes (padded N, K)."""
    factors, offsets, taken, written = (
        pointer_to(scales), pointer_to(bias), pointer_to(sums), pointer_to(result),
    )  # fmt: skip
    rows, width = result.shape
    for panel in range(len(weights)):
        for first in range(0, rows, ROWS):
            dense_tile(codes, first, weights, panel, starts, sums)
            for i in range(min(ROWS, rows - first)):
                for lane in range(0, _PANEL, LANES):
                    column = panel * _PANEL + lane
                    total = load_lanes(taken, i * _PANEL + lane)
                    value = multiply_add(total, load(factors, column), load(offsets, column))
                    store(written, (first + i) * width + column, value)


@compiled
def attentional_vectors(
    hidden_codes: Any, weights: Any, starts: Any, scales: Any, sums: Any, bias: Any, context: Any,
    codes: Any,
) -> None:  # fmt: skip
    """codes (padded N, E) = tanh(context (N, E) + hidden @ weights + bias (panels, 64))."""
    factors, offsets, taken, written = (
        pointer_to(scales), pointer_to(bias), pointer_to(sums), pointer_to(codes),
    )  # fmt: skip
    averaged = pointer_to(context)
    rows, width = context.shape
    for panel in range(len(weights)):
        for first in range(0, rows, ROWS):
            dense_tile(hidden_codes, first, weights, panel, starts, sums)
            for i in range(min(ROWS, rows - first)):
                for lane in range(0, _PANEL, LANES):
                    column = panel * _PANEL + lane
                    place = (first + i) * width + column
                    total = load_lanes(taken, i * _PANEL + lane)
                    value = multiply_add(total, load(factors, column), load(offsets, column))
                    value = tangent(add(value, load(averaged, place)))
                    store_activations(written, place, value)
