"""Compiled loops of the output layer: the best tokens of each row without a matrix of logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float32

from dragoman_models.embeddings.training.compilation import compiled, inlined
from dragoman_models.embeddings.training.simd import (
    LANES,
    Integer,
    Lanes,
    Pointer,
    add,
    broadcast,
    load,
    multiply_add,
    pointer_to,
    store,
    total,
)
from dragoman_models.translation.arithmetic.functions import exponential
from dragoman_models.translation.arithmetic.tiles import (
    DENSE_VECTORS,
    ROWS,
    dense_tile,
    lanes_above,
    load_lanes,
)

SPECIAL = 4  # pad, unk, bos and eos are tokens 0 to 3: rules speak of them one by one
_PANEL = LANES * DENSE_VECTORS
_HEADROOM = float32(40.0)  # how far a logit may lie above what exponents are taken relative to


@inlined
def _insert(
    value: Any, id_: Any, row: Integer, width: Integer, best: Pointer, ids: Pointer
) -> None:
    """Puts a logit above the row's worst in its place behind the special tokens, sorted."""
    place, first = row * width + width - 1, row * width + SPECIAL
    while place > first and best[place - 1] < value:
        best[place] = best[place - 1]
        ids[place] = ids[place - 1]
        place -= 1
    best[place] = value
    ids[place] = id_


@inlined
def _consider(
    values: Lanes, above: Integer, column: Integer, names: Pointer, row: Integer, width: Integer,
    best: Pointer, ids: Pointer, scratch: Pointer,
) -> None:  # fmt: skip
    """Takes the logits of the lanes ``above`` that are still above the row's worst."""
    store(scratch, 0, values)
    lane = 0
    while above != 0:
        if above & 1 and scratch[lane] > best[row * width + width - 1]:
            _insert(scratch[lane], names[column + lane], row, width, best, ids)
        above >>= 1
        lane += 1


@inlined
def _raise_shift(row: Integer, highest: Any, shifts: Pointer, totals: Pointer) -> None:
    """Keeps exponents small: they are relative to a logit that the highest is not far above."""
    if highest > shifts[row] + _HEADROOM:
        factor = exponential(broadcast(shifts[row] - highest))
        for_row = load(totals, row * LANES)
        store(totals, row * LANES, multiply_add(for_row, factor, broadcast(float32(0.0))))
        shifts[row] = highest


@inlined
def _without_special(
    values: Lanes, row: Integer, width: Integer, best: Pointer, shifts: Pointer, scratch: Pointer
) -> Lanes:
    """Notes the logits of the special tokens, and returns the others for the search of the best."""
    store(scratch, 0, values)
    highest = scratch[0]
    for lane in range(LANES):
        highest = max(highest, scratch[lane])
    shifts[row] = highest
    for lane in range(SPECIAL):
        best[row * width + lane] = scratch[lane]
        scratch[lane] = float32(-np.inf)
    return load(scratch, 0)


@compiled
def best_tokens(
    codes: Any, row_ends: Any, panels: Any, weights: Any, starts: Any, scales: Any, sums: Any,
    bias: Any, names: Any, best: Any, ids: Any, normalizers: Any, row_shifts: Any, row_totals: Any,
    lanes: Any,
) -> None:  # fmt: skip
    """The highest logits of N rows, and the logarithm of the sum of all exponentials.

    Rows come in groups: those of group g, up to row_ends[g], meet the panels from panels[g, 0] to
    panels[g, 1], whose first four outputs are the special tokens.

    Args:
        codes: (padded N, E) attentional vectors; weights, starts, scales, sums: packed outputs.
        bias: (panels, 64) float32, -inf where there is no token; names: (panels * 64,) of tokens.
        best, ids: (N, 4 + width), take the special tokens and then the best others, falling;
        normalizers: (N, 1).
        row_shifts, row_totals, lanes: (N,), (N, 16) and (16,) float32, room to work in.
    """
    factors, offsets, taken, tokens = (
        pointer_to(scales), pointer_to(bias), pointer_to(sums), pointer_to(names),
    )  # fmt: skip
    highest, found = pointer_to(best), pointer_to(ids)
    count, width = best.shape
    best[:] = float32(-np.inf)
    ids[:] = SPECIAL - 1
    for token in range(SPECIAL):
        ids[:, token] = token
    row_totals[:] = float32(0.0)
    shifts, added, scratch = pointer_to(row_shifts), pointer_to(row_totals), pointer_to(lanes)
    begin = 0
    for group in range(len(row_ends)):
        first_panel = panels[group, 0]
        for panel in range(first_panel, panels[group, 1]):
            for first in range(begin, row_ends[group], ROWS):
                dense_tile(codes, first, weights, panel, starts, sums)
                for i in range(min(ROWS, row_ends[group] - first)):
                    row = first + i
                    for lane in range(0, _PANEL, LANES):
                        column = panel * _PANEL + lane
                        logits = multiply_add(
                            load_lanes(taken, i * _PANEL + lane), load(factors, column),
                            load(offsets, column),
                        )  # fmt: skip
                        others = logits
                        if panel == first_panel and lane == 0:
                            others = _without_special(logits, row, width, highest, shifts, scratch)
                        above = lanes_above(others, highest[row * width + width - 1])
                        if above != 0:
                            _consider(
                                others, above, column, tokens, row, width, highest, found, scratch
                            )
                            _raise_shift(row, highest[row * width + SPECIAL], shifts, added)
                        powers = exponential(add(logits, broadcast(-shifts[row])))
                        store(added, row * LANES, add(load(added, row * LANES), powers))
        begin = row_ends[group]
    for row in range(count):
        normalizers[row, 0] = shifts[row] + np.log(total(load(added, row * LANES)))


@compiled
def gather_outputs(
    rows: Any, starts: Any, scales: Any, bias: Any, tokens: Any, places: Any,
    panels: Any, panel_starts: Any, panel_scales: Any, panel_bias: Any,
) -> None:  # fmt: skip
    """Packs the outputs of tokens; panels are of 64 outputs.

    Args:
        rows: (V, G) uint32, each token's weights, those of a group in one number.
        starts, scales, bias: (V,).
        tokens, places: (T,), which tokens, and which outputs of all panels they become.
        panels, panel_starts, panel_scales, panel_bias: (P, G, 64) uint32 and (P, 64), take them.
    """
    for i in range(len(tokens)):
        token, panel, column = tokens[i], places[i] // _PANEL, places[i] % _PANEL
        panel_starts[panel, column] = starts[token]
        panel_scales[panel, column] = scales[token]
        panel_bias[panel, column] = bias[token]
        for group in range(rows.shape[1]):
            panels[panel, group, column] = rows[token, group]
