"""Recurrent layers over whole sequences, on the fastest code there is for each cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from dragoman_models.language_model.cells import CELLS, CellWeights, State, mogrify
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.sequence_kernels import GruSequence, LstmSequence


class RecurrentLayer(nn.Module):
    """One layer, in the layout of torch's own.

    float32 sequences of rnn, gru and lstm run on torch's fused layers; in bfloat16 lstm and gru
    run on `sequence_kernels.py`, which is faster there, and so does the simplified GRU always.
    """

    def __init__(self, cell: str, input_size: int, size: int) -> None:
        super().__init__()
        self.cell = CELLS[cell]
        self.name = cell
        self.size = size
        self.weight_ih = nn.Parameter(torch.empty(self.cell.gates * size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(self.cell.gates * size, size))
        self.bias_ih = nn.Parameter(torch.zeros(self.cell.gates * size))
        self.bias_hh = nn.Parameter(torch.zeros(self.cell.gates * size))
        bound = size**-0.5
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -bound, bound)
        if self.cell.states == 2:  # the forget gate starts open (Jozefowicz et al. 2015)
            nn.init.ones_(self.bias_ih[size : 2 * size])

    def initial_state(self, rows: int, dtype: torch.dtype) -> State:
        """Zeros, (rows, H) each."""
        return tuple(torch.zeros(rows, self.size, dtype=dtype) for _ in range(self.cell.states))

    def weights(self, dtype: torch.dtype, weight_drop: float) -> CellWeights:
        """The weights in the type of this pass; the recurrent ones dropped where it trains.

        Dropping weights, not activations, is the same at every step of the sequence (DropConnect;
        Merity et al. 2018, section 2).
        """
        recurrent: Tensor = self.weight_hh
        if self.training and weight_drop:
            recurrent = nn.functional.dropout(recurrent, weight_drop)
        return CellWeights(
            *(w.to(dtype) for w in (self.weight_ih, recurrent, self.bias_ih, self.bias_hh))
        )

    def step(self, inputs: Tensor, state: State) -> State:
        """One step of the readable cell: inputs (B, I)."""
        return self.cell.step(inputs, state, self.weights(inputs.dtype, 0.0))

    def forward(
        self, inputs: Tensor, state: State, weight_drop: float = 0.0
    ) -> tuple[Tensor, State]:
        """(T, B, I), state (B, H) each -> outputs (T, B, H), state after the last step."""
        weights = self.weights(inputs.dtype, weight_drop)
        state = tuple(part.to(inputs.dtype) for part in state)
        fused = inputs.dtype != torch.bfloat16
        if self.name == "lstm":
            return (_torch_lstm if fused else _own_lstm)(inputs, state, weights)
        if self.name == "simple_gru" or (self.name == "gru" and not fused):
            return _own_gru(inputs, state, weights)
        layer = torch.gru if self.name == "gru" else torch.rnn_tanh
        outputs, last = layer(
            inputs, state[0].unsqueeze(0), list(weights), True, 1, 0.0, self.training, False, False
        )
        return outputs, (last.squeeze(0),)


def _torch_lstm(inputs: Tensor, state: State, weights: CellWeights) -> tuple[Tensor, State]:
    first = [part.unsqueeze(0) for part in state]
    outputs, hidden, cell = torch.lstm(
        inputs, first, list(weights), True, 1, 0.0, torch.is_grad_enabled(), False, False
    )
    return outputs, (hidden.squeeze(0), cell.squeeze(0))


def _own_lstm(inputs: Tensor, state: State, weights: CellWeights) -> tuple[Tensor, State]:
    gates = linear(inputs, weights.input, weights.input_bias + weights.recurrent_bias)
    wide = torch.promote_types(inputs.dtype, torch.float32)
    outputs, cell = LstmSequence.apply(  # type: ignore[no-untyped-call]
        gates, weights.recurrent, state[0], state[1].to(wide)
    )
    return outputs, (outputs[-1], cell)


def _own_gru(inputs: Tensor, state: State, weights: CellWeights) -> tuple[Tensor, State]:
    gates = linear(inputs, weights.input, weights.input_bias)
    outputs = GruSequence.apply(  # type: ignore[no-untyped-call]
        gates, weights.recurrent, weights.recurrent_bias, state[0]
    )
    return outputs, (outputs[-1],)


class MogrifierLayer(RecurrentLayer):
    """The Mogrifier LSTM (Melis et al. 2020): Q and R of each round, whole or of low rank.

    Each step changes its own input, so there is no product over the whole sequence to fuse: the
    steps are those of the readable cell.
    """

    def __init__(self, config: NetworkConfig, input_size: int, size: int) -> None:
        super().__init__("mogrifier_lstm", input_size, size)
        self.gates = nn.ModuleList(
            _low_rank(*((size, input_size) if number % 2 else (input_size, size)), config)
            for number in range(1, config.mogrifier_rounds + 1)
        )

    def _rounds(self, dtype: torch.dtype) -> list[Callable[[Tensor], Tensor]]:
        """Each round's map, its weights cast to the type of this pass once for all steps."""
        return [
            partial(_apply, [_typed(part, dtype) for part in cast(nn.Sequential, gate)])
            for gate in self.gates
        ]

    def step(self, inputs: Tensor, state: State) -> State:
        """One step: inputs (B, I)."""
        inputs, hidden = mogrify(inputs, state[0], self._rounds(inputs.dtype))
        return self.cell.step(inputs, (hidden, state[1]), self.weights(inputs.dtype, 0.0))

    def forward(
        self, inputs: Tensor, state: State, weight_drop: float = 0.0
    ) -> tuple[Tensor, State]:
        weights, rounds = self.weights(inputs.dtype, weight_drop), self._rounds(inputs.dtype)
        state = tuple(part.to(inputs.dtype) for part in state)
        outputs = []
        for step_inputs in inputs:  # (B, I)
            gated, hidden = mogrify(step_inputs, state[0], rounds)
            state = self.cell.step(gated, (hidden, state[1]), weights)
            outputs.append(state[0])
        return torch.stack(outputs), state


def _low_rank(inputs: int, outputs: int, config: NetworkConfig) -> nn.Sequential:
    if not config.mogrifier_rank:
        return nn.Sequential(nn.Linear(inputs, outputs))
    rank = config.mogrifier_rank
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs))


def _typed(part: nn.Module, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    assert isinstance(part, nn.Linear)  # noqa: S101 - _low_rank makes no others
    bias = part._parameters["bias"]  # None where it was made without one
    return part.weight.to(dtype), None if bias is None else bias.to(dtype)


def _apply(maps: list[tuple[Tensor, Tensor | None]], values: Tensor) -> Tensor:
    for weight, bias in maps:
        values = linear(values, weight, bias)
    return values


def recurrent_layers(config: NetworkConfig) -> nn.ModuleList:
    """The layers of a network, the lowest first."""
    if config.cell == "mogrifier_lstm":
        return nn.ModuleList(MogrifierLayer(config, *sizes) for sizes in config.layer_sizes())
    return nn.ModuleList(RecurrentLayer(config.cell, *sizes) for sizes in config.layer_sizes())
