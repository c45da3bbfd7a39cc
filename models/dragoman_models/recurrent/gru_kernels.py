"""Compiled loops over the gates of a gated recurrent unit: value and gradient of a training step.

As torch operations, a step reads and writes its gates some twenty times, and the calls cost more
than the products between them. All arrays are float32 and contiguous, with rows of 3H gates in the
order reset, update, new, or of H units; H is a multiple of 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy import float32
from torch import Tensor

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
    store,
    total,
)
from dragoman_models.translation.arithmetic.functions import logistic, tangent

GATES = 3


def can_take(gates: Tensor, units: int) -> bool:
    """Whether the loops compute with such gates and as many units."""
    return (
        gates.dtype in (torch.float32, torch.bfloat16)
        and gates.device.type == "cpu"
        and units % LANES == 0
    )


def trains(gates: Tensor, units: int) -> bool:
    """`can_take`, of a step whose gradient is wanted."""
    return gates.requires_grad and torch.is_grad_enabled() and can_take(gates, units)


def step(*tensors: Tensor) -> None:
    """`gru_forward` of tensors."""
    gru_forward(*_rows(tensors))


def step_gradient(*tensors: Tensor) -> None:
    """`gru_backward` of tensors."""
    gru_backward(*_rows(tensors))


def normalized(
    gates: Tensor, gain: Tensor, shift: Tensor, epsilon: float, roots: Tensor, result: Tensor
) -> None:
    """`normalize_forward` of tensors."""
    raw, gains, shifts, inverse_roots, sums = _rows((gates, gain, shift, roots, result))
    normalize_forward(raw, gains, shifts, epsilon, inverse_roots, sums)


def normalized_gradient(*tensors: Tensor) -> None:
    """`normalize_backward` of tensors."""
    normalize_backward(*_rows(tensors))


def _rows(tensors: tuple[Tensor, ...]) -> list[Any]:
    return [tensor.detach().view(-1, tensor.size(-1)).numpy() for tensor in tensors]


@inlined
def _minus(a: Lanes, b: Lanes) -> Lanes:
    return multiply_add(b, broadcast(float32(-1.0)), a)


@inlined
def _add_to(pointer: Pointer, i: Integer, value: Lanes) -> None:
    store(pointer, i, add(load(pointer, i), value))


@compiled
def gru_forward(input_gates: Any, hidden_gates: Any, hidden: Any, active: Any, after: Any) -> None:
    """after = n + z (hidden - n); r, z, n = logistic(i_r + h_r), ..., tanh(i_n + r h_n).

    Args:
        input_gates, hidden_gates: i and h, (R, 3H); hidden: (R, H).
        active: (R, 3H), takes r, z and n; after: (R, H).
    """
    rows, size = hidden.shape
    fed, recurrent, kept = pointer_to(input_gates), pointer_to(hidden_gates), pointer_to(active)
    before, result = pointer_to(hidden), pointer_to(after)
    for row in range(rows):
        for unit in range(0, size, LANES):
            r = row * GATES * size + unit
            z, n, h = r + size, r + 2 * size, row * size + unit
            reset = logistic(add(load(fed, r), load(recurrent, r)))
            update = logistic(add(load(fed, z), load(recurrent, z)))
            new = tangent(multiply_add(reset, load(recurrent, n), load(fed, n)))
            store(kept, r, reset)
            store(kept, z, update)
            store(kept, n, new)
            store(result, h, multiply_add(update, _minus(load(before, h), new), new))


@compiled
def gru_backward(
    gradient: Any, hidden_gates: Any, hidden: Any, active: Any,
    input_gradient: Any, hidden_gradient: Any, kept: Any,
) -> None:  # fmt: skip
    """The gradient of what `gru_forward` read.

    Args:
        gradient: (R, H), of `after`; hidden_gates, hidden, active: as `gru_forward` left them.
        input_gradient, hidden_gradient: (R, 3H), take the gates'.
        kept: (R, H), takes what goes to `hidden` past the gates.
    """
    rows, size = hidden.shape
    recurrent, before, values = pointer_to(hidden_gates), pointer_to(hidden), pointer_to(active)
    upstream, carried = pointer_to(gradient), pointer_to(kept)
    to_fed, to_recurrent = pointer_to(input_gradient), pointer_to(hidden_gradient)
    one = broadcast(float32(1.0))
    for row in range(rows):
        for unit in range(0, size, LANES):
            r = row * GATES * size + unit
            z, n, h = r + size, r + 2 * size, row * size + unit
            reset, update, new = load(values, r), load(values, z), load(values, n)
            above = load(upstream, h)
            opened = multiply(above, _minus(one, update))
            to_new = multiply(opened, _minus(one, multiply(new, new)))
            to_update = multiply(multiply(opened, update), _minus(load(before, h), new))
            through = multiply(to_new, reset)
            to_reset = multiply(multiply(through, load(recurrent, n)), _minus(one, reset))
            store(to_fed, r, to_reset)
            store(to_fed, z, to_update)
            store(to_fed, n, to_new)
            store(to_recurrent, r, to_reset)
            store(to_recurrent, z, to_update)
            store(to_recurrent, n, through)
            store(carried, h, multiply(above, update))


@compiled
def normalize_forward(
    gates: Any, gain: Any, shift: Any, epsilon: float, roots: Any, result: Any
) -> None:
    """result = gain * normal + shift, normal = (a - mean a) / sqrt(var a + epsilon) for each gate.

    Args:
        gates: (R, 3H), a; becomes normal. roots: (R, 3), takes 1 / sqrt(var a + epsilon).
        gain, shift: (D, 3H), of D directions with R / D rows each, one after the other.
        result: (R, 3H).
    """
    rows, width = gates.shape
    size, rows_each = width // GATES, rows // len(gain)
    normal, out = pointer_to(gates), pointer_to(result)
    gains, shifts = pointer_to(gain), pointer_to(shift)
    for row in range(rows):
        for gate in range(GATES):
            start = row * width + gate * size
            sums = broadcast(float32(0.0))
            for i in range(0, size, LANES):
                sums = add(sums, load(normal, start + i))
            mean = broadcast(total(sums) / float32(size))
            squares = broadcast(float32(0.0))
            for i in range(0, size, LANES):
                deviation = _minus(load(normal, start + i), mean)
                squares = multiply_add(deviation, deviation, squares)
            root = float32(1.0) / np.sqrt(total(squares) / float32(size) + float32(epsilon))
            roots[row, gate] = root
            own = (row // rows_each) * width + gate * size
            for i in range(0, size, LANES):
                value = multiply(_minus(load(normal, start + i), mean), broadcast(root))
                store(normal, start + i, value)
                scaled = multiply_add(load(gains, own + i), value, load(shifts, own + i))
                store(out, start + i, scaled)


@compiled
def normalize_backward(
    gradient: Any, normal: Any, roots: Any, gain: Any, gain_gradient: Any, shift_gradient: Any
) -> None:
    """The gradient of what `normalize_forward` read.

    Args:
        gradient: (R, 3H), of its result; becomes that of the gates.
        normal, roots: as it left them; gain: (D, 3H).
        gain_gradient, shift_gradient: (D, 3H), added to.
    """
    rows, width = gradient.shape
    size, rows_each = width // GATES, rows // len(gain)
    values, upstream, gains = pointer_to(normal), pointer_to(gradient), pointer_to(gain)
    to_gain, to_shift = pointer_to(gain_gradient), pointer_to(shift_gradient)
    for row in range(rows):
        for gate in range(GATES):
            start, own = row * width + gate * size, (row // rows_each) * width + gate * size
            sums, products = broadcast(float32(0.0)), broadcast(float32(0.0))
            for i in range(0, size, LANES):
                above, value = load(upstream, start + i), load(values, start + i)
                _add_to(to_shift, own + i, above)
                _add_to(to_gain, own + i, multiply(above, value))
                scaled = multiply(above, load(gains, own + i))
                sums, products = add(sums, scaled), multiply_add(scaled, value, products)
                store(upstream, start + i, scaled)
            mean = broadcast(total(sums) / float32(size))
            slope = broadcast(-total(products) / float32(size))
            root = broadcast(roots[row, gate])
            for i in range(0, size, LANES):
                centred = _minus(load(upstream, start + i), mean)
                left = multiply_add(load(values, start + i), slope, centred)
                store(upstream, start + i, multiply(left, root))
