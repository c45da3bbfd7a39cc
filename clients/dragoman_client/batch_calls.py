"""The bidirectional calls as values: batches of items go out, and their answers come in, in order.

Both clients run the same values. At most two batches are on the way at a time, one that the server
works on and one that waits for it, so that any number of items takes constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from dragoman.v1.embedding_service_pb2 import (
    EmbedStreamRequest,
    EmbedStreamResponse,
    NearestStreamRequest,
    NearestStreamResponse,
)
from dragoman_client import responses
from dragoman_client.errors import ServerError
from dragoman_client.options import SearchOptions, WordLookup
from dragoman_client.queries import Query
from dragoman_client.requests.fields import Model
from dragoman_client.requests.words import (
    embed_request,
    embed_words,
    nearest_queries,
    nearest_request,
)
from dragoman_client.responses import ItemResult
from dragoman_client.results import Neighbors, WordVector

Item = TypeVar("Item")
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")

BATCHES_ON_THE_WAY = 2
DEFAULT_WORDS = 256
DEFAULT_QUERIES = 64  # what the server searches for at once


@dataclass(frozen=True, kw_only=True)
class BatchCall(Generic[Item, Response, Answer]):
    """One stream: ``request`` makes the message of a batch, ``read`` the answers out of one."""

    method: str
    batch_size: int
    request: Callable[[Sequence[Item], bool], Message]  # the items, and whether they are the first
    response_type: type[Response]
    read: Callable[[Response], list[ItemResult[Answer]]]

    def answers(self, response: Response, count: int) -> list[ItemResult[Answer]]:
        """The answers to a batch of ``count`` items."""
        results = self.read(response)
        if len(results) != count:
            raise ServerError(f"the server answered {len(results)} items of {count}")
        return results


def embed_stream(
    *, model: Model, lookup: WordLookup | None, normalize: bool, batch_size: int | None
) -> BatchCall[str, EmbedStreamResponse, WordVector]:
    def request(words: Sequence[str], first: bool) -> EmbedStreamRequest:
        batch = (
            embed_request(words, model=model, lookup=lookup, normalize=normalize)
            if first
            else embed_words(words)
        )
        return EmbedStreamRequest(batch=batch)

    return BatchCall(
        method="/dragoman.v1.EmbeddingService/EmbedStream",
        batch_size=_checked_size(batch_size, DEFAULT_WORDS),
        request=request,
        response_type=EmbedStreamResponse,
        read=lambda response: responses.embed_results(response.batch),
    )


def nearest_stream(
    *, model: Model, options: SearchOptions | None, batch_size: int | None
) -> BatchCall[Query, NearestStreamResponse, Neighbors]:
    def request(queries: Sequence[Query], first: bool) -> NearestStreamRequest:
        batch = (
            nearest_request(queries, model=model, options=options)
            if first
            else nearest_queries(queries)
        )
        return NearestStreamRequest(batch=batch)

    return BatchCall(
        method="/dragoman.v1.EmbeddingService/NearestStream",
        batch_size=_checked_size(batch_size, DEFAULT_QUERIES),
        request=request,
        response_type=NearestStreamResponse,
        read=lambda response: responses.nearest_results(response.batch),
    )


def _checked_size(size: int | None, default: int) -> int:
    if size is None:
        return default
    if size < 1:
        raise ValueError(f"batch_size is {size}; give at least 1")
    return size
