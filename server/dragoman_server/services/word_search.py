"""Nearest and Analogy as work for the batcher: the searches of several calls as one product."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.option_key import request_key
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.word_answers import (
    ItemErrors,
    analogy_results,
    nearest_results,
)
from dragoman_server.work_queue import CancelFlag

# A search takes about as long as so many tokens of a translation.
SEARCH_COST = 5
_SEARCHES_AT_ONCE = 64

Results = Callable[[ModelVersion, Sequence[Any], Any, Sequence[ItemErrors]], Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A query or question, its index in its request, and what its request's errors share."""

    item: Any
    errors: ItemErrors


class SearchEngine:
    """Answers the searches of several calls; each outcome is the result's message."""

    def __init__(self, version: ModelVersion, request: Any, results: Results) -> None:
        """Args: request: where the settings stand."""
        self._version = version
        self._request = request
        self._results = results

    def run(self, payloads: Sequence[Search], cancelled: Cancelled) -> Sequence[Any]:
        CancelFlag(lambda: all(cancelled(index) for index in range(len(payloads)))).check()
        items = [payload.item for payload in payloads]
        errors = [payload.errors for payload in payloads]
        return self._results(self._version, items, self._request, errors)


def nearest_lane(version: ModelVersion, request: pb.NearestRequest) -> Lane:
    """Queries of the same vectors with the same options may share a batch."""
    return _lane("Nearest", version, request, "queries", nearest_results)


def analogy_lane(version: ModelVersion, request: pb.AnalogyRequest) -> Lane:
    """Questions to the same vectors with the same options may share a batch."""
    return _lane("Analogy", version, request, "questions", analogy_results)


def search_works(version: ModelVersion, field: str, items: Sequence[Any]) -> list[Work]:
    """The items of the list `field` of one request."""
    shared = ItemErrors(version.model, field)
    return [
        Work(payload=Search(item=item, errors=shared.at(index)), cost=SEARCH_COST)
        for index, item in enumerate(items)
    ]


def _lane(kind: str, version: ModelVersion, request: Any, field: str, results: Results) -> Lane:
    return Lane(
        key=(kind, id(version.model), str(version), request_key(request, field)),
        engine=SearchEngine(version, request, results),
        kind=f"{kind} {version}",
        max_items=_SEARCHES_AT_ONCE,
    )
