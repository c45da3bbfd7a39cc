"""The recurrent cells, one step each, written as their equations.

Training runs whole sequences through `layers.py`, which tests hold equal to these steps. Weights
have the layout of torch's own layers: the gates' rows one below the other, in the order that each
function states.

Symbols: x is the input (B, I), h the hidden state (B, H), c the LSTM's cell state (B, H), s() the
logistic function, * the product of elements; W (input), U (recurrent), b and d (biases) carry the
gate's name as an index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

State = tuple[Tensor, ...]  # (h,), for an LSTM (h, c): each (B, H)


class CellWeights(NamedTuple):
    """The weights of a cell with G gates."""

    input: Tensor  # (G * H, I)
    recurrent: Tensor  # (G * H, H)
    input_bias: Tensor  # (G * H,)
    recurrent_bias: Tensor  # (G * H,)


def rnn_step(inputs: Tensor, state: State, weights: CellWeights) -> State:
    """The vanilla recurrent network (Elman 1990).

    h' = tanh(W x + b + U h + d)
    """
    (hidden,) = state
    from_input = linear(inputs, weights.input, weights.input_bias)
    from_hidden = linear(hidden, weights.recurrent, weights.recurrent_bias)
    return (torch.tanh(from_input + from_hidden),)


def gru_step(inputs: Tensor, state: State, weights: CellWeights) -> State:
    """The gated recurrent unit (Cho et al. 2014). Gates: relevance r, update z, candidate n.

    r  = s(W_r x + b_r + U_r h + d_r)          how much of the past matters to the candidate
    z  = s(W_z x + b_z + U_z h + d_z)          how much of the past is kept
    n  = tanh(W_n x + b_n + r * (U_n h + d_n))
    h' = z * h + (1 - z) * n

    Cho et al. apply r to h before U_n; cuDNN and torch apply it after, so that U h is one product.
    """
    (hidden,) = state
    input_r, input_z, input_n = linear(inputs, weights.input, weights.input_bias).chunk(3, dim=1)
    hidden_r, hidden_z, hidden_n = linear(
        hidden, weights.recurrent, weights.recurrent_bias
    ).chunk(3, dim=1)  # fmt: skip
    relevance = torch.sigmoid(input_r + hidden_r)
    update = torch.sigmoid(input_z + hidden_z)
    candidate = torch.tanh(input_n + relevance * hidden_n)
    return (update * hidden + (1 - update) * candidate,)


def simple_gru_step(inputs: Tensor, state: State, weights: CellWeights) -> State:
    """The single-gate GRU used in teaching: no relevance gate. Gates: update z, candidate n.

    z  = s(W_z x + b_z + U_z h + d_z)
    n  = tanh(W_n x + b_n + U_n h + d_n)
    h' = z * h + (1 - z) * n

    Courses often write G = 1 - z for the gate: the same unit with the gate's sign turned.
    """
    (hidden,) = state
    input_z, input_n = linear(inputs, weights.input, weights.input_bias).chunk(2, dim=1)
    hidden_z, hidden_n = linear(
        hidden, weights.recurrent, weights.recurrent_bias
    ).chunk(2, dim=1)  # fmt: skip
    update = torch.sigmoid(input_z + hidden_z)
    candidate = torch.tanh(input_n + hidden_n)
    return (update * hidden + (1 - update) * candidate,)


def lstm_step(inputs: Tensor, state: State, weights: CellWeights) -> State:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with the forget gate of Gers et
    al. 2000. Gates: input i, forget f, candidate g, output o.

    i  = s(W_i x + b_i + U_i h + d_i)
    f  = s(W_f x + b_f + U_f h + d_f)
    g  = tanh(W_g x + b_g + U_g h + d_g)
    o  = s(W_o x + b_o + U_o h + d_o)
    c' = f * c + i * g
    h' = o * tanh(c')
    """
    hidden, cell = state
    gates = linear(inputs, weights.input, weights.input_bias)
    gates = gates + linear(hidden, weights.recurrent, weights.recurrent_bias)
    into, forget, candidate, out = gates.chunk(4, dim=1)
    kept = torch.sigmoid(forget) * cell
    cell = kept + torch.sigmoid(into) * torch.tanh(candidate)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def mogrify(
    inputs: Tensor, hidden: Tensor, rounds: list[Callable[[Tensor], Tensor]]
) -> tuple[Tensor, Tensor]:
    """Lets x and h gate each other in turn before the cell reads them (Melis et al. 2020, 2).

    x^i = 2 s(Q^i h^(i-1)) * x^(i-2)   for odd i
    h^i = 2 s(R^i x^(i-1)) * h^(i-2)   for even i

    Args:
        rounds: Q^1, R^2, Q^3, ... as linear maps.
    """
    for number, gate in enumerate(rounds, start=1):
        if number % 2:
            inputs = 2 * torch.sigmoid(gate(hidden)) * inputs
        else:
            hidden = 2 * torch.sigmoid(gate(inputs)) * hidden
    return inputs, hidden


class Cell(NamedTuple):
    """A cell's step, its number of gates and of state tensors."""

    step: Callable[[Tensor, State, CellWeights], State]
    gates: int
    states: int


CELLS: dict[str, Cell] = {
    "rnn": Cell(rnn_step, 1, 1),
    "gru": Cell(gru_step, 3, 1),
    "simple_gru": Cell(simple_gru_step, 2, 1),
    "lstm": Cell(lstm_step, 4, 2),
    "mogrifier_lstm": Cell(lstm_step, 4, 2),
}
