"""The whole network: embedding, recurrent layers and output layer, with AWD-LSTM's dropouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dragoman_models.language_model.cells import State
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.layers import RecurrentLayer, recurrent_layers
from dragoman_models.language_model.loss import OutputLayer

NetworkState = tuple[State, ...]  # one a layer


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Shares that are dropped in training (Merity et al. 2018, section 4).

    Attributes:
        embedding: of whole words of the embedding, in every place where they occur.
        input, hidden, output: of the units after the embedding, between layers, and after the
            last; one mask for all steps of a segment (Gal and Ghahramani 2016).
        weight: of the recurrent weights.
    """

    embedding: float = 0.0
    input: float = 0.0
    hidden: float = 0.0
    output: float = 0.0
    weight: float = 0.0


class Outputs(NamedTuple):
    """What the top layer gives: (T, B, E)."""

    dropped: Tensor  # what the output layer reads
    raw: Tensor  # before dropout: what TAR compares
    state: NetworkState


def locked_dropout(values: Tensor, share: float, *, training: bool) -> Tensor:
    """Drops units of (T, B, H) with one mask (B, H) for all T steps."""
    if not training or not share:
        return values
    mask = torch.empty_like(values[0]).bernoulli_(1 - share).div_(1 - share)
    return values * mask


class LanguageModelNetwork(nn.Module):
    """Predicts each token from those before it.

    With tied weights (Press and Wolf 2017; Inan et al. 2017) the output layer is the embedding.
    """

    def __init__(self, config: NetworkConfig, dropouts: Dropouts | None = None) -> None:
        super().__init__()
        self.config = config
        self.dropouts = dropouts or Dropouts()
        self.embedding = nn.Parameter(torch.empty(config.vocabulary_size, config.embedding_size))
        nn.init.uniform_(self.embedding, -0.1, 0.1)
        self.layers = recurrent_layers(config)
        output_size = config.layer_sizes()[-1][1]
        if not config.tie_weights:
            self.own_output = nn.Parameter(torch.empty(config.vocabulary_size, output_size))
            nn.init.uniform_(self.own_output, -0.1, 0.1)
        self.output_bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        clusters = len(config.adaptive_cutoffs)
        self.cluster_weight = nn.Parameter(torch.zeros(clusters, output_size))
        self.cluster_bias = nn.Parameter(torch.zeros(clusters))

    @property
    def output(self) -> OutputLayer:
        """The output layer over the weights as they are now."""
        return OutputLayer(
            weight=self.embedding if self.config.tie_weights else self.own_output,
            bias=self.output_bias,
            clusters=self.cluster_weight,
            cluster_bias=self.cluster_bias,
            cutoffs=self.config.adaptive_cutoffs,
        )

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, the lowest first."""
        return [cast(RecurrentLayer, layer) for layer in self.layers]

    def initial_state(self, rows: int) -> NetworkState:
        """The state before any token: zeros, (rows, H) each."""
        dtype = self.embedding.dtype
        return tuple(layer.initial_state(rows, dtype) for layer in self.recurrent_layers())

    def _embed(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        embedded = nn.functional.embedding(tokens, self.embedding).to(dtype)
        share = self.dropouts.embedding
        if self.training and share:
            words = torch.empty(len(self.embedding)).bernoulli_(1 - share).div_(1 - share)
            embedded = embedded * words[tokens].unsqueeze(-1).to(dtype)
        return embedded

    def forward(
        self, tokens: Tensor, state: NetworkState, dtype: torch.dtype | None = None
    ) -> Outputs:
        """Token ids (T, B), the state before them; products in ``dtype`` (the weights' own)."""
        drop, training = self.dropouts, self.training
        values = self._embed(tokens, dtype or self.embedding.dtype)  # (T, B, E)
        values = locked_dropout(values, drop.input, training=training)
        states, raw = [], values
        for number, layer in enumerate(self.recurrent_layers(), start=1):
            raw, layer_state = layer(values, state[number - 1], drop.weight)
            states.append(layer_state)
            share = drop.output if number == len(self.layers) else drop.hidden
            values = locked_dropout(raw, share, training=training)
        return Outputs(values, raw, tuple(states))

    def step(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """One step of the readable cells: (B,) -> top hidden (B, E) and the next state."""
        values = nn.functional.embedding(tokens, self.embedding)
        states = []
        for layer, layer_state in zip(self.recurrent_layers(), state, strict=True):
            layer_state = layer.step(values, layer_state)
            states.append(layer_state)
            values = layer_state[0]
        return values, tuple(states)


def detached(state: NetworkState) -> NetworkState:
    """The same numbers, without the graph that they came from: backpropagation ends here."""
    return tuple(tuple(part.detach() for part in layer) for layer in state)
