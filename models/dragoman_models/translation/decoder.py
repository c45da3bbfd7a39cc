"""The target side: a recurrent cell with input feeding, attention, and the attentional vector."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman_models.recurrent import gru_kernels
from dragoman_models.recurrent.compiled_gru_step import CompiledGruStep
from dragoman_models.recurrent.gate_normalization import GateNormalization
from dragoman_models.recurrent.step_linear import StepLinear
from dragoman_models.translation.attention import (
    AdditiveAttention,
    AttentionMemory,
    MultiplicativeAttention,
    attend,
)
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.dropout import state_mask
from dragoman_models.translation.step_attention import step_attention


class DecoderState(NamedTuple):
    """State of N = B * K hypotheses; ``cell`` is empty (N, 0) for a GRU."""

    hidden: Tensor  # (N, H)
    cell: Tensor  # (N, H) or (N, 0)
    attentional: Tensor  # (N, E), fed to the next step


class StepLayers(NamedTuple):
    """What a decoding step multiplies by: the decoder's own layers, or what trains them faster."""

    feed_gates: Callable[[Tensor], Tensor]
    hidden_gates: Callable[[Tensor], Tensor]
    hidden_projection: Callable[[Tensor], Tensor]
    attend: Callable[[Tensor], tuple[Tensor, Tensor]]


def gru_step(input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
    """One step of Cho et al. 2014 in the arrangement of cuDNN and torch.nn.GRUCell.

    r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z);  n = tanh(i_n + r * h_n);  h' = n + z * (h - n).
    Gates are (N, 3H) in the order reset, update, new; hidden is (N, H).
    """
    size = hidden.size(1)
    if gru_kernels.trains(input_gates, size) and hidden.dtype == torch.float32:
        after: Tensor = CompiledGruStep.apply(input_gates, hidden_gates, hidden)  # type: ignore[no-untyped-call]
        return after
    reset_update = torch.sigmoid(input_gates[:, : 2 * size] + hidden_gates[:, : 2 * size])
    reset, update = reset_update.chunk(2, dim=1)
    new = torch.tanh(torch.addcmul(input_gates[:, 2 * size :], reset, hidden_gates[:, 2 * size :]))
    return torch.lerp(new, hidden, update)


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Hochreiter and Schmidhuber 1997 with a forget gate; returns hidden, cell.

    Gates are (N, 4H) in the order input, forget, candidate, output; cell is (N, H).
    """
    in_gate, forget_gate, candidate, out_gate = gates.chunk(4, dim=1)
    kept = torch.sigmoid(forget_gate) * cell
    cell = torch.addcmul(kept, torch.sigmoid(in_gate), torch.tanh(candidate))
    return torch.sigmoid(out_gate) * torch.tanh(cell), cell


def masked(layer: Callable[[Tensor], Tensor], mask: Tensor | None) -> Callable[[Tensor], Tensor]:
    """The layer of what a mask of its inputs leaves; with None the layer itself."""
    return layer if mask is None else lambda inputs: layer(inputs * mask)


class Decoder(nn.Module):
    """Luong et al. 2015 with input feeding (section 3.3); the attentional vector has the size of
    the embedding, so that it meets the tied output weights without a further projection.

    h_t = cell([e_t; a_{t-1}], h_{t-1});  c_t = attention(h_t);  a_t = tanh(W_c c_t + W_h h_t + b).
    W_c is applied to the source positions once, before the attention average (it is linear).
    With layer_norm, what a GRU's gates add up, [e_t; a_{t-1}] and h_{t-1} times their weights, is
    normalized first (`gate_normalization.py`).
    """

    def __init__(self, config: NetworkConfig, *, state_dropout: float = 0.0) -> None:
        super().__init__()
        self.state_dropout = state_dropout
        self.is_lstm = config.cell == "lstm"
        size, memory_size = config.decoder_size, 2 * config.encoder_size
        gates = (4 if self.is_lstm else 3) * size
        scorer = (
            MultiplicativeAttention if config.attention == "multiplicative" else AdditiveAttention
        )
        self.attention = scorer(query_size=size, memory_size=memory_size)
        self.bridge = nn.Linear(memory_size, size)
        self.embedding_gates = nn.Linear(config.embedding_size, gates)
        self.feed_gates = nn.Linear(config.embedding_size, gates, bias=False)
        self.hidden_gates = nn.Linear(size, gates)
        self.context_projection = nn.Linear(memory_size, config.embedding_size, bias=False)
        self.hidden_projection = nn.Linear(size, config.embedding_size)
        self.input_norm = GateNormalization(size) if config.layer_norm else nn.Identity()
        self.hidden_norm = GateNormalization(size) if config.layer_norm else nn.Identity()
        self._initialize(size)

    def _initialize(self, size: int) -> None:
        # Orthogonal recurrence keeps the gradient's norm over time; the LSTM's forget gate starts
        # open (Jozefowicz et al. 2015).
        for block in self.hidden_gates.weight.data.view(-1, size, size):
            nn.init.orthogonal_(block)
        if self.is_lstm:
            self.hidden_gates.bias.data[size : 2 * size] = 1.0

    def memory(self, encoded: Tensor, padding: Tensor) -> AttentionMemory:
        """(B, S, 2 * encoder_size), (B, S) -> what every step of these sentences will read."""
        keys = self.attention.keys(encoded)
        return AttentionMemory(keys, self.context_projection(encoded), padding)

    def initial_state(self, summary: Tensor) -> DecoderState:
        """(B, 2 * encoder_size) -> the state before the first target token."""
        hidden = torch.tanh(self.bridge(summary).float())
        cell = torch.zeros_like(hidden) if self.is_lstm else hidden.new_zeros(len(hidden), 0)
        embedding_size = self.feed_gates.in_features
        return DecoderState(hidden, cell, hidden.new_zeros(len(hidden), embedding_size))

    def step(
        self, embedding_gates: Tensor, state: DecoderState, memory: AttentionMemory,
        layers: StepLayers | None = None,
    ) -> tuple[DecoderState, Tensor]:  # fmt: skip
        """One step of B * K hypotheses, K a sentence, rows of a sentence side by side.

        Args:
            embedding_gates: (B * K, gates), ``self.embedding_gates`` of the previous tokens.
            layers: what computes the products; None means the decoder's own layers.
        Returns:
            the next state, and the attention weights (B, K, S).
        """
        apply = layers or StepLayers(
            self.feed_gates, self.hidden_gates, self.hidden_projection,
            partial(attend, self.attention, memory=memory),
        )  # fmt: skip
        fed = self.input_norm(embedding_gates + apply.feed_gates(state.attentional))
        recurrent = self.hidden_norm(apply.hidden_gates(state.hidden))
        if self.is_lstm:
            hidden, cell = lstm_step((fed + recurrent).float(), state.cell)
        else:
            hidden, cell = gru_step(fed.float(), recurrent.float(), state.hidden), state.cell
        query = hidden.view(len(memory.keys), -1, hidden.size(1))
        context, weights = apply.attend(query.to(memory.keys.dtype))
        attentional = torch.tanh(context.flatten(0, 1) + apply.hidden_projection(hidden))
        return DecoderState(hidden, cell, attentional), weights

    def forward(self, embedded: Tensor, state: DecoderState, memory: AttentionMemory) -> Tensor:
        """Teacher forcing: (T, B, E) -> attentional vectors (T, B, E)."""
        embedded_gates = self.embedding_gates(embedded)  # one product for all steps
        feed, recurrent, projection = (
            StepLinear(linear, embedded_gates.dtype)
            for linear in (self.feed_gates, self.hidden_gates, self.hidden_projection)
        )
        mask = state_mask(state.hidden, self.state_dropout, training=self.training)
        attention = step_attention(self.attention, memory)
        layers = StepLayers(feed, masked(recurrent, mask), projection, attention)
        attentional = []
        for step_gates in embedded_gates.unbind(0):
            state, _ = self.step(step_gates, state, memory, layers)
            attentional.append(state.attentional)
        return torch.stack(attentional)
