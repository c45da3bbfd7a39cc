"""The network as beam search sees it: with torch's operations, or in compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dragoman_models.allocation import give_back_freed_memory
from dragoman_models.search.beam_search import SearchModel
from dragoman_models.translation.arithmetic.choice import Arithmetic, chosen, host_features
from dragoman_models.translation.attention import AttentionMemory
from dragoman_models.translation.corpus import pad
from dragoman_models.translation.decoder import DecoderState
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.shortlist import Shortlist


class SearchedModel(SearchModel[Any], Protocol):
    """A model that beam search can search, and that reads source sentences."""

    def encode(self, sources: Sequence[list[int]]) -> Any:
        """The state before the first target token of sources, piece ids with eos."""


class _SearchState(NamedTuple):
    memory: AttentionMemory  # one a sentence, not one a hypothesis
    decoder: DecoderState


class PlainModel:
    """The network itself."""

    def __init__(self, network: TranslationNetwork) -> None:
        self._network = network

    def encode(self, sources: Sequence[list[int]]) -> _SearchState:
        lengths = torch.tensor([len(source) for source in sources])
        return _SearchState(*self._network.encode(pad(sources), lengths))

    def step(self, previous: Tensor, state: _SearchState) -> tuple[Tensor, _SearchState, Tensor]:
        logits, decoder, weights = self._network.step(previous, state.decoder, state.memory)
        return logits, _SearchState(state.memory, decoder), weights.flatten(0, 1)

    def select(self, state: _SearchState, sentences: Tensor | None, rows: Tensor) -> _SearchState:
        memory = state.memory
        if sentences is not None:
            memory = AttentionMemory(*(part.index_select(0, sentences) for part in memory))
        decoder = DecoderState(*(part.index_select(0, rows) for part in state.decoder))
        return _SearchState(memory, decoder)


def searched(
    network: TranslationNetwork, arithmetic: Arithmetic, shortlist: Shortlist | None = None
) -> SearchedModel:
    """What computes the network's numbers in a search; PLAIN leaves the shortlist out.

    Raises:
        ValueError: the arithmetic is not for such a network, or not for this CPU.
    """
    if arithmetic is Arithmetic.PLAIN:
        return PlainModel(network)
    kind = chosen(arithmetic, network.config, host_features())
    if kind is Arithmetic.PLAIN:
        return PlainModel(network)
    from dragoman_models.translation.arithmetic.network import CompiledNetwork  # numba is heavy
    from dragoman_models.translation.arithmetic.packing import Precision

    compiled = CompiledNetwork(network, Precision(kind.value), shortlist)
    give_back_freed_memory()  # that packing took
    return compiled
