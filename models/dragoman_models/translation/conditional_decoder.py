"""The conditional GRU decoder: attention stands between two cells, not behind one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman_models.recurrent.gate_normalization import GateNormalization
from dragoman_models.recurrent.step_linear import StepLinear
from dragoman_models.translation.attention import (
    AdditiveAttention,
    AttentionMemory,
    MultiplicativeAttention,
    attend,
)
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.decoder import DecoderState, gru_step, masked
from dragoman_models.translation.dropout import state_mask
from dragoman_models.translation.step_attention import step_attention


class ConditionalStepLayers(NamedTuple):
    """What a decoding step multiplies by: the decoder's own layers, or what trains them faster."""

    hidden_gates: Callable[[Tensor], Tensor]
    second_gates: Callable[[Tensor], Tensor]
    hidden_projection: Callable[[Tensor], Tensor]
    attend: Callable[[Tensor], tuple[Tensor, Tensor]]


class ConditionalDecoder(nn.Module):
    """Sennrich et al. 2017, "Nematus: a Toolkit for Neural Machine Translation", section 3.

    s'_t = GRU_1(e_{t-1}, s_{t-1});  c_t = attention(s'_t);  s_t = GRU_2(c_t, s'_t);
    a_t = tanh(W_e e_{t-1} + W_c c_t + W_s s_t + b), which meets the tied output weights.

    Everything that is linear in c_t is applied to the source positions once, before the attention
    average; everything that is linear in e_{t-1}, to all target positions at once. With layer_norm,
    the two sums of each cell's gates are normalized first (`gate_normalization.py`).
    """

    is_lstm = False

    def __init__(self, config: NetworkConfig, *, state_dropout: float = 0.0) -> None:
        super().__init__()
        self.state_dropout = state_dropout
        size, memory_size, readout = (
            config.decoder_size, 2 * config.encoder_size, config.embedding_size,
        )  # fmt: skip
        self._parts = [3 * size, readout]
        scorer = (
            MultiplicativeAttention if config.attention == "multiplicative" else AdditiveAttention
        )
        self.attention = scorer(query_size=size, memory_size=memory_size)
        self.bridge = nn.Linear(memory_size, size)
        self.embedding_gates = nn.Linear(config.embedding_size, 3 * size + readout)
        self.hidden_gates = nn.Linear(size, 3 * size)
        self.context_projection = nn.Linear(memory_size, 3 * size + readout, bias=False)
        self.second_gates = nn.Linear(size, 3 * size)
        self.hidden_projection = nn.Linear(size, readout)
        self.norms = nn.ModuleList(
            GateNormalization(size) if config.layer_norm else nn.Identity() for _ in range(4)
        )
        for recurrent in (self.hidden_gates, self.second_gates):
            for block in recurrent.weight.data.view(-1, size, size):
                nn.init.orthogonal_(block)

    def memory(self, encoded: Tensor, padding: Tensor) -> AttentionMemory:
        """(B, S, 2 * encoder_size), (B, S) -> what every step of these sentences will read."""
        keys = self.attention.keys(encoded)
        return AttentionMemory(keys, self.context_projection(encoded), padding)

    def initial_state(self, summary: Tensor) -> DecoderState:
        """(B, 2 * encoder_size) -> the state before the first target token."""
        hidden = torch.tanh(self.bridge(summary).float())
        return DecoderState(
            hidden, hidden.new_zeros(len(hidden), 0), hidden.new_zeros(len(hidden), self._parts[1])
        )

    def step(
        self, embedding_gates: Tensor, state: DecoderState, memory: AttentionMemory,
        layers: ConditionalStepLayers | None = None,
    ) -> tuple[DecoderState, Tensor]:  # fmt: skip
        """One step of B * K hypotheses, K a sentence, rows of a sentence side by side.

        Args:
            embedding_gates: (B * K, 3H + E), ``self.embedding_gates`` of the previous tokens.
            layers: what computes the products; None means the decoder's own layers.
        Returns:
            the next state, and the attention weights (B, K, S).
        """
        apply = layers or ConditionalStepLayers(
            self.hidden_gates, self.second_gates, self.hidden_projection,
            partial(attend, self.attention, memory=memory),
        )  # fmt: skip
        input_norm, hidden_norm, context_norm, second_norm = self.norms
        gates, embedded_readout = torch.split(embedding_gates, self._parts, dim=1)
        recurrent = hidden_norm(apply.hidden_gates(state.hidden))
        first = gru_step(input_norm(gates).float(), recurrent.float(), state.hidden)
        query = first.view(len(memory.keys), -1, first.size(1))
        context, weights = apply.attend(query.to(memory.keys.dtype))
        gates, context_readout = torch.split(context.flatten(0, 1), self._parts, dim=1)
        recurrent = second_norm(apply.second_gates(first))
        hidden = gru_step(context_norm(gates).float(), recurrent.float(), first)
        readout = embedded_readout + context_readout + apply.hidden_projection(hidden)
        return DecoderState(hidden, state.cell, torch.tanh(readout)), weights

    def forward(self, embedded: Tensor, state: DecoderState, memory: AttentionMemory) -> Tensor:
        """Teacher forcing: (T, B, E) -> attentional vectors (T, B, E)."""
        embedded_gates = self.embedding_gates(embedded)  # one product for all steps
        first, second, projection = (
            StepLinear(linear, embedded_gates.dtype)
            for linear in (self.hidden_gates, self.second_gates, self.hidden_projection)
        )
        masks = [
            state_mask(state.hidden, self.state_dropout, training=self.training) for _ in range(2)
        ]
        layers = ConditionalStepLayers(
            masked(first, masks[0]), masked(second, masks[1]), projection,
            step_attention(self.attention, memory),
        )  # fmt: skip
        attentional = []
        for step_gates in embedded_gates.unbind(0):
            state, _ = self.step(step_gates, state, memory, layers)
            attentional.append(state.attentional)
        return torch.stack(attentional)
