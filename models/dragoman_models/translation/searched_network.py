"""The network as beam search sees it: with torch's operations, or in compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dragoman_models.allocation import give_back_freed_memory
from dragoman_models.search.beam_search import SearchModel
from dragoman_models.translation.arithmetic.choice import Arithmetic, chosen, host_features
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.stored_network import StoredNetwork


class SearchedModel(SearchModel[Any], Protocol):
    """A model that beam search can search, and that reads source sentences."""

    def encode(self, sources: Sequence[list[int]]) -> Any:
        """The state before the first target token of sources, piece ids with eos."""


def searched(
    network: StoredNetwork, arithmetic: Arithmetic, shortlist: Shortlist | None = None
) -> SearchedModel:
    """What computes the network's numbers in a search; PLAIN leaves the shortlist out.

    Raises:
        ValueError: the arithmetic is not for such a network, or not for this CPU.
    """
    kind = _kind(network, arithmetic)
    if kind is Arithmetic.PLAIN:
        return _plain(network)
    from dragoman_models.translation.arithmetic.network import CompiledNetwork  # numba is heavy
    from dragoman_models.translation.arithmetic.packing import Precision

    compiled = CompiledNetwork(network, Precision(kind.value), shortlist)
    give_back_freed_memory()  # that packing took
    return compiled


def exact(network: StoredNetwork, arithmetic: Arithmetic) -> SearchedModel:
    """The network in float32, by torch or in compiled loops as searches are: for few tokens at a
    time, since no table holds what is to be had of each token beforehand."""
    if _kind(network, arithmetic) is Arithmetic.PLAIN:
        return _plain(network)
    from dragoman_models.translation.arithmetic.network import CompiledNetwork
    from dragoman_models.translation.arithmetic.packing import Precision

    compiled = CompiledNetwork(network, Precision.FLOAT32, tabulated=False)
    give_back_freed_memory()
    return compiled


def _kind(network: StoredNetwork, arithmetic: Arithmetic) -> Arithmetic:
    if arithmetic is Arithmetic.PLAIN:
        return arithmetic
    return chosen(arithmetic, network.config, host_features())


def _plain(network: StoredNetwork) -> SearchedModel:
    from dragoman_models.translation.plain_model import PlainModel  # torch is heavier still

    return PlainModel(network.network)
