"""The source side in compiled loops: from piece ids to what decoding reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.tokenizer import PAD
from dragoman_models.translation.arithmetic.layers import (
    GATE_PANEL,
    DenseLayer,
    GateLayer,
    gate_layer,
)
from dragoman_models.translation.arithmetic.packing import Precision
from dragoman_models.translation.arithmetic.recurrence import encoder_gru
from dragoman_models.translation.stored_network import StoredNetwork


class Memory(NamedTuple):
    """What decoding reads of M source sentences of at most S tokens."""

    keys: Floats  # (M, S, Q)
    values: Floats  # (M, S, E)
    lengths: Integers  # (M,)


class CompiledEncoder:
    """A bidirectional GRU of one layer, the attention's memory, and the decoder's first state."""

    def __init__(
        self, network: StoredNetwork, embedding: Floats, precision: Precision, *, tabulated: bool
    ) -> None:
        """Args: embedding: (V, E) of source tokens; tabulated: see `TokenGates`."""
        config, weights = network.config, network.weights
        self._precision = precision
        self._directions = [
            _direction(network, embedding, name, precision, tabulated=tabulated)
            for name in ("", "_reverse")
        ]
        weight, bias = weights["decoder.attention.key_projection.weight"], None
        if config.attention == "multiplicative":
            weight = weight * config.decoder_size**-0.5
        else:
            bias = weights["decoder.attention.key_projection.bias"]
        self._keys = DenseLayer(weight, bias, precision)
        self._values = DenseLayer(weights["decoder.context_projection.weight"], None, precision)
        self._bridge = DenseLayer(
            weights["decoder.bridge.weight"], weights["decoder.bridge.bias"], precision
        )

    def __call__(self, sources: Sequence[Sequence[int]]) -> tuple[Memory, Floats]:
        """Piece ids with eos -> the memory, and the decoder's first hidden state (M, H)."""
        lengths = np.array([len(source) for source in sources])
        order = np.argsort(-lengths, kind="stable")
        tokens = np.full((len(sources), lengths.max()), PAD)
        for row, source in enumerate(order):
            tokens[row, : lengths[source]] = sources[source]
        codes = self._encoded(tokens, lengths[order])
        rank = np.argsort(order)
        keys, values = (
            layer(codes, tokens.size).reshape(*tokens.shape, -1)
            for layer in (self._keys, self._values)
        )
        memory = Memory(keys[rank], values[rank], lengths)
        return memory, self._first_hidden(codes, lengths[order])[rank]

    def _encoded(self, tokens: Integers, lengths: Integers) -> Array:
        """(M, S), the longest first -> states of both directions, (padded M S, 2 H), zero behind
        a sentence's end."""
        rows, precision = len(tokens), self._precision
        units = len(self._directions[0].new_bias)
        codes = precision.activations(tokens.size, 2 * units)
        for backward, layer in enumerate(self._directions):
            recurrent = layer.recurrent
            table, places = layer.of_tokens(tokens)
            encoder_gru(
                places, lengths, bool(backward), table, layer.new_bias,
                recurrent.weights, recurrent.starts, recurrent.scales, precision.sums(GATE_PANEL),
                np.zeros((rows, units), np.float32), precision.activations(rows, units),
                precision.activations(rows, units), codes,
            )  # fmt: skip
        return codes

    def _first_hidden(self, codes: Array, lengths: Integers) -> Floats:
        """From the last state of each direction."""
        rows, half = len(lengths), codes.shape[1] // 2
        first = np.arange(rows) * lengths[0]  # the longest is as long as all are padded to
        summary = self._precision.activations(rows, 2 * half)
        summary[:rows, :half] = codes[first + lengths - 1, :half]
        summary[:rows, half:] = codes[first, half:]
        hidden: Floats = np.tanh(self._bridge(summary, rows))
        return hidden


def _direction(
    network: StoredNetwork, embedding: Floats, name: str, precision: Precision, *, tabulated: bool
) -> GateLayer:
    def parameter(kind: str) -> Floats:
        return network.weights[f"encoder.recurrent.{kind}_l0{name}"]

    return gate_layer(
        embedding, network.config.embedding_size**0.5,
        input_weight=parameter("weight_ih"), input_bias=parameter("bias_ih"),
        hidden_weight=parameter("weight_hh"), hidden_bias=parameter("bias_hh"),
        precision=precision, tabulated=tabulated,
    )  # fmt: skip
