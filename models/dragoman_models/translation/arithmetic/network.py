"""A translator's network in compiled loops, as beam search sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.embeddings.training.simd import LANES
from dragoman_models.search.beam_search import Candidates
from dragoman_models.translation.arithmetic.attention import TOGETHER, attend
from dragoman_models.translation.arithmetic.dense import attentional_vectors
from dragoman_models.translation.arithmetic.encoder import CompiledEncoder, Memory
from dragoman_models.translation.arithmetic.layers import (
    GATE_PANEL,
    DenseLayer,
    gate_layer,
    gates_by_unit,
)
from dragoman_models.translation.arithmetic.output import SPECIAL, best_tokens
from dragoman_models.translation.arithmetic.packing import Precision, pack
from dragoman_models.translation.arithmetic.recurrence import (
    decoder_gru,
    gather_parents,
    prefetch_rows,
)
from dragoman_models.translation.arithmetic.shortlisting import Shortlisted, Shortlisting
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.stored_network import StoredNetwork


class CompiledState(NamedTuple):
    """B sentences with K hypotheses each, N = B * K, which continue P <= N parents.

    Hypotheses of one parent differ in their last token alone, so what does not read it is computed
    once for all of them: ``children[begins[p] : begins[p + 1]]`` are the hypotheses of parent p.
    """

    memory: Memory
    sentences: Integers  # (B,), which of the memory's
    hidden: Floats  # (P, H)
    hidden_codes: Array  # (padded P, H): the same as activations
    fed_codes: Array  # (padded P, E), attentional vectors
    begins: Integers  # (P + 1,)
    children: Integers  # (N,)
    outputs: Shortlisted | None  # what the sentences' hypotheses choose from; None: all tokens


class CompiledNetwork:
    """The arithmetic of a `TranslationNetwork`, rounded to a precision. Safe to call from several
    threads at once, whose loops run side by side.

    With float32 it gives what the network gives, up to the order of sums.
    """

    special_tokens = SPECIAL

    def __init__(
        self,
        network: StoredNetwork,
        precision: Precision,
        shortlist: Shortlist | None = None,
        *,
        tabulated: bool = True,
    ) -> None:
        """Args:
        network: one that `choice.suits` holds of.
        tabulated: whether tables are made of what each token gives to the gates, which take ten
            times the memory of the weights; without them a search is slower.
        """
        config, weights = network.config, network.weights
        embedding = weights["target_embedding.weight"]
        tied = config.tie_source_embedding
        source_embedding = embedding if tied else weights["own_source_embedding.weight"]
        self._precision = precision
        self._vocabulary_size = config.vocabulary_size
        self._encoder = CompiledEncoder(network, source_embedding, precision, tabulated=tabulated)
        self._gates = gate_layer(
            embedding, config.embedding_size**0.5,
            input_weight=weights["decoder.embedding_gates.weight"],
            input_bias=weights["decoder.embedding_gates.bias"],
            hidden_weight=weights["decoder.hidden_gates.weight"],
            hidden_bias=weights["decoder.hidden_gates.bias"],
            precision=precision, tabulated=tabulated,
        )  # fmt: skip
        feeding = gates_by_unit(weights["decoder.feed_gates.weight"])
        self._feeding = pack(feeding, precision, panel=GATE_PANEL)
        self._projection = DenseLayer(
            weights["decoder.hidden_projection.weight"], weights["decoder.hidden_projection.bias"],
            precision,
        )  # fmt: skip
        self._query: DenseLayer | None = None
        self._energy = np.empty(0, np.float32)
        if config.attention == "additive":
            query = weights["decoder.attention.query_projection.weight"]
            self._query = DenseLayer(query, None, precision)
            self._energy = np.array(weights["decoder.attention.energy"])
        self._output = DenseLayer(embedding, weights["output_bias"], precision)
        self._output.bias.reshape(-1)[self._vocabulary_size :] = -np.inf
        self._every_token = np.arange(self._output.bias.size)
        self._shortlisting = None if shortlist is None else Shortlisting(self._output, shortlist)

    def encode(self, sources: Sequence[Sequence[int]]) -> CompiledState:
        """The state before the first target token of sources, piece ids with eos."""
        memory, hidden = self._encoder(sources)
        rows, fed_size = len(hidden), memory.values.shape[2]
        return CompiledState(
            memory, np.arange(rows), hidden, self._precision.rounded(hidden),
            self._precision.activations(rows, fed_size), np.arange(rows + 1), np.arange(rows),
            None if self._shortlisting is None else self._shortlisting(sources),
        )  # fmt: skip

    def step(
        self, previous: Integers, state: CompiledState
    ) -> tuple[Floats, CompiledState, Floats]:
        """Tokens (N,) -> logits (N, V), the next state, attention weights (N, S)."""
        state, weights = self._advance(previous, state)
        logits = self._output(state.fed_codes, len(previous))
        return logits[:, : self._vocabulary_size], state, weights

    def candidates(
        self, previous: Integers, state: CompiledState, width: int
    ) -> tuple[Candidates, CompiledState, Floats]:
        """As `step`, with the special tokens and the ``width`` best others of each row alone."""
        state, weights = self._advance(previous, state)
        rows = len(previous)
        logits = np.empty((rows, SPECIAL + width), np.float32)
        tokens = np.empty((rows, SPECIAL + width), np.int64)
        normalizers = np.empty((rows, 1), np.float32)
        if state.outputs is None:
            ends, panels = np.array([rows]), np.array([[0, len(self._output.bias)]])
            operands, names = self._output.operands, self._every_token
        else:
            count = len(state.sentences)
            ends = np.arange(1, count + 1) * (rows // count)
            panels, names = state.outputs.panels[state.sentences], state.outputs.tokens
            operands = state.outputs.operands
        best_tokens(
            state.fed_codes, ends, panels, *operands, names, logits, tokens, normalizers,
            np.empty(rows, np.float32),
            np.empty((rows, LANES), np.float32), np.empty(LANES, np.float32),
        )  # fmt: skip
        return Candidates(logits, tokens, normalizers), state, weights

    def select(
        self, state: CompiledState, sentences: Integers | None, rows: Integers
    ) -> CompiledState:
        """The state of hypotheses ``rows``; see `SearchModel`."""
        kept = state.sentences if sentences is None else state.sentences[sentences]
        count, precision = len(rows), self._precision
        hidden = np.empty((count, state.hidden.shape[1]), np.float32)
        codes, fed = (
            precision.room(count, part.shape[1]) for part in (state.hidden_codes, state.fed_codes)
        )
        begins, children = np.empty(count + 1, np.int64), np.empty(count, np.int64)
        parents = gather_parents(
            rows, state.hidden, state.hidden_codes, state.fed_codes, hidden, codes, fed,
            begins, children,
        )  # fmt: skip
        return CompiledState(
            state.memory, kept, hidden[:parents], codes, fed, begins, children, state.outputs
        )

    def _advance(self, previous: Integers, state: CompiledState) -> tuple[CompiledState, Floats]:
        """The state after tokens (N,), and attention weights (N, S)."""
        state = self._recur(previous, state)
        keys, values, lengths = state.memory
        queries, rows = state.hidden, len(state.hidden)
        if self._query is not None:
            queries = self._query(state.hidden_codes, rows)
        weights = np.empty((rows, -(-keys.shape[1] // LANES) * LANES), np.float32)
        context = np.empty((rows, values.shape[2]), np.float32)
        room = np.empty(weights.shape[1] + TOGETHER, np.float32)
        attend(
            queries, state.sentences, keys, values, lengths, self._energy, context, weights, room
        )
        attentional_vectors(
            state.hidden_codes, *self._projection.operands, context, state.fed_codes
        )
        return state, weights[:, : keys.shape[1]]

    def _recur(self, previous: Integers, state: CompiledState) -> CompiledState:
        """A step of the GRU; the new state's attentional vectors are yet to be written."""
        gates, feeding, precision = self._gates, self._feeding, self._precision
        rows, units = len(previous), state.hidden.shape[1]
        hidden, codes = np.empty((rows, units), np.float32), precision.room(rows, units)
        table, tokens = gates.of_tokens(previous)
        prefetch_rows(table, tokens)
        decoder_gru(
            state.hidden, state.hidden_codes, state.fed_codes, state.begins, state.children,
            tokens, table, gates.new_bias, gates.recurrent.weights,
            gates.recurrent.starts, gates.recurrent.scales, precision.sums(GATE_PANEL),
            feeding.weights, feeding.starts, feeding.scales, precision.sums(GATE_PANEL),
            hidden, codes,
        )  # fmt: skip
        fed = precision.room(rows, state.fed_codes.shape[1])
        return state._replace(
            hidden=hidden, hidden_codes=codes, fed_codes=fed,
            begins=np.arange(rows + 1), children=np.arange(rows),
        )  # fmt: skip
