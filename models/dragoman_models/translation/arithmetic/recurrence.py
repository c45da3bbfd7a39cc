"""Compiled loops of gated recurrent units: one decoding step, and a whole encoder direction.

The gates of 16 units are one panel, so that a unit's new value is computed while the sums of its
products are still in the nearest cache, and a matrix of gates never exists.
"""

from __future__ import annotations

from typing import Any

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
    multiply,
    multiply_add,
    pointer_to,
    prefetch,
    store,
)
from dragoman_models.translation.arithmetic.functions import logistic, tangent
from dragoman_models.translation.arithmetic.tiles import (
    GATE_VECTORS,
    ROWS,
    gate_tile,
    load_lanes,
    store_activations,
)

_GATES = LANES * GATE_VECTORS
_TWO_LANES = 2 * LANES
_CACHE_LINE = 64


@inlined
def _scaled(sums: Pointer, i: Integer, scales: Pointer, column: Integer, onto: Lanes) -> Lanes:
    """onto + sums[i] * scales[column], 16 columns."""
    return multiply_add(load_lanes(sums, i), load(scales, column), onto)


@inlined
def _new_units(
    reset: Lanes, update: Lanes, fed_new: Lanes, hidden_new: Lanes, before: Lanes
) -> Lanes:
    """h' = n + z (h - n) with n = tanh(i_n + r h_n), of sums before the logistic function."""
    new = tangent(multiply_add(logistic(reset), hidden_new, fed_new))
    difference = add(before, multiply(new, broadcast(float32(-1.0))))
    return multiply_add(logistic(update), difference, new)


@compiled
def prefetch_rows(table: Any, tokens: Any) -> None:
    """Asks for the rows of a table (V, panels, C) before they are read panel by panel."""
    length = table.shape[1] * table.shape[2]
    line = _CACHE_LINE // table.itemsize
    entries = pointer_to(table)
    for token in tokens:
        for place in range(0, length, line):
            prefetch(entries, token * length + place)


@compiled
def decoder_gru(
    hidden: Any, hidden_codes: Any, fed_codes: Any, begins: Any, children: Any, tokens: Any,
    table: Any, new_bias: Any,
    recurrent: Any, recurrent_starts: Any, recurrent_scales: Any, recurrent_sums: Any,
    feeding: Any, feeding_starts: Any, feeding_scales: Any, feeding_sums: Any,
    next_hidden: Any, next_codes: Any,
) -> None:  # fmt: skip
    """One step of N hypotheses that continue P parents: products are of parents alone.

    Args:
        hidden: (P, H) float32; hidden_codes, fed_codes: (padded P, H), (padded P, E) activations.
        begins, children: (P + 1,) and (N,); children[begins[p] : begins[p + 1]] continue parent p.
        tokens: (N,) previous tokens; table: (V, H / 16, 48), their part of the gates, with biases.
        new_bias: (H,) of the hidden part of the new gate.
        recurrent..., feeding...: packed products of the hidden and the attentional vector.
        next_hidden, next_codes: (N, H) and (padded N, H), take the new state.
    """
    rows, units = hidden.shape
    panels = table.shape[1]
    entries, bias, before, after, codes = (
        pointer_to(table), pointer_to(new_bias), pointer_to(hidden), pointer_to(next_hidden),
        pointer_to(next_codes),
    )  # fmt: skip
    h, f = pointer_to(recurrent_sums), pointer_to(feeding_sums)
    h_scales, f_scales = pointer_to(recurrent_scales), pointer_to(feeding_scales)
    for panel in range(panels):
        column, unit = panel * _GATES, panel * LANES
        for first in range(0, rows, ROWS):
            gate_tile(hidden_codes, first, recurrent, panel, recurrent_starts, recurrent_sums)
            gate_tile(fed_codes, first, feeding, panel, feeding_starts, feeding_sums)
            for i in range(min(ROWS, rows - first)):
                s, place = i * _GATES, (first + i) * units + unit
                own = _scaled(h, s + _TWO_LANES, h_scales, column + _TWO_LANES, load(bias, unit))
                old = load(before, place)
                zero = broadcast(float32(0.0))
                resetting = _scaled(h, s, h_scales, column, zero)
                resetting = _scaled(f, s, f_scales, column, resetting)
                updating = _scaled(h, s + LANES, h_scales, column + LANES, zero)
                updating = _scaled(f, s + LANES, f_scales, column + LANES, updating)
                fed = _scaled(f, s + _TWO_LANES, f_scales, column + _TWO_LANES, zero)
                for position in range(begins[first + i], begins[first + i + 1]):
                    row = children[position]
                    entry = (tokens[row] * panels + panel) * _GATES
                    new = _new_units(
                        add(resetting, load_lanes(entries, entry)),
                        add(updating, load_lanes(entries, entry + LANES)),
                        add(fed, load_lanes(entries, entry + _TWO_LANES)),
                        own,
                        old,
                    )
                    place = row * units + unit
                    store(after, place, new)
                    store_activations(codes, place, new)


@compiled
def encoder_gru(
    tokens: Any, lengths: Any, backward: bool, table: Any, new_bias: Any,
    recurrent: Any, starts: Any, scales: Any, sums: Any,
    hidden: Any, codes: Any, other_codes: Any, encoded: Any,
) -> None:  # fmt: skip
    """One direction over B sentences of at most S tokens, the longest first.

    Args:
        tokens: (B, S); lengths: (B,), never rising.
        table, new_bias, recurrent...: as in `decoder_gru`, without a fed vector.
        hidden, codes, other_codes: (B, H) zeros and twice (padded B, H) activations of zero.
        encoded: (padded B S, 2H); takes the states, as activations, at their places.
    """
    units, panels = hidden.shape[1], table.shape[1]
    steps, width = tokens.shape[1], encoded.shape[1]
    entries, bias, state = pointer_to(table), pointer_to(new_bias), pointer_to(hidden)
    out = pointer_to(encoded)
    h, h_scales = pointer_to(sums), pointer_to(scales)
    side = units if backward else 0
    rows = len(lengths)
    read, write = codes, other_codes
    for step in range(steps):
        while rows > 0 and lengths[rows - 1] <= step:
            rows -= 1
        written = pointer_to(write)
        for panel in range(panels):
            column, unit = panel * _GATES, panel * LANES
            for first in range(0, rows, ROWS):
                gate_tile(read, first, recurrent, panel, starts, sums)
                for i in range(min(ROWS, rows - first)):
                    row, s = first + i, i * _GATES
                    position = lengths[row] - 1 - step if backward else step
                    entry = (tokens[row, position] * panels + panel) * _GATES
                    reset = _scaled(h, s, h_scales, column, load_lanes(entries, entry))
                    update = load_lanes(entries, entry + LANES)
                    update = _scaled(h, s + LANES, h_scales, column + LANES, update)
                    fed = load_lanes(entries, entry + _TWO_LANES)
                    own = _scaled(
                        h, s + _TWO_LANES, h_scales, column + _TWO_LANES, load(bias, unit)
                    )
                    place = row * units + unit
                    new = _new_units(reset, update, fed, own, load(state, place))
                    store(state, place, new)
                    store_activations(written, place, new)
                    place = (row * steps + position) * width + side + unit
                    store_activations(out, place, new)
        read, write = write, read
