"""A network as searches see it, with torch's own operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from dragoman_models.arrays import Floats, Integers
from dragoman_models.translation.attention import AttentionMemory
from dragoman_models.translation.corpus import pad
from dragoman_models.translation.decoder import DecoderState
from dragoman_models.translation.network import TranslationNetwork


class _SearchState(NamedTuple):
    memory: AttentionMemory  # one a sentence, not one a hypothesis
    decoder: DecoderState


class PlainModel:
    """The network itself."""

    def __init__(self, network: TranslationNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def encode(self, sources: Sequence[list[int]]) -> _SearchState:
        """The state before the first target token of sources, piece ids with eos."""
        lengths = torch.tensor([len(source) for source in sources])
        return _SearchState(*self._network.encode(pad(sources), lengths))

    @torch.inference_mode()
    def step(self, previous: Integers, state: _SearchState) -> tuple[Floats, _SearchState, Floats]:
        """See `SearchModel`."""
        tokens = torch.from_numpy(previous)
        logits, decoder, weights = self._network.step(tokens, state.decoder, state.memory)
        attention: Floats = weights.flatten(0, 1).numpy()
        return logits.numpy(), _SearchState(state.memory, decoder), attention

    @torch.inference_mode()
    def select(
        self, state: _SearchState, sentences: Integers | None, rows: Integers
    ) -> _SearchState:
        """See `SearchModel`."""
        memory, chosen = state.memory, torch.from_numpy(rows)
        if sentences is not None:
            kept = torch.from_numpy(sentences)
            memory = AttentionMemory(*(part.index_select(0, kept) for part in memory))
        decoder = DecoderState(*(part.index_select(0, chosen) for part in state.decoder))
        return _SearchState(memory, decoder)
