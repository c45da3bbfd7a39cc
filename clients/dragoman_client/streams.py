"""Runs a bidirectional call for the synchronous client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from dragoman_client.batch_calls import BATCHES_ON_THE_WAY, BatchCall
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.resent_stream import ResentStream
from dragoman_client.responses import ItemResult
from dragoman_client.stream_retries import StreamRetries

Item = TypeVar("Item")
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")


def answers(
    channel: grpc.Channel,
    call: BatchCall[Item, Response, Answer],
    items: Iterable[Item],
    *,
    retries: StreamRetries,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
) -> Iterator[ItemResult[Answer]]:
    """What became of each item, in order.

    ``items`` is read in the caller's own thread, a batch at a time, as answers are taken. What it
    raises is raised here; then, and when the iterator is closed, the call is cancelled. A call that
    is refused before its first answer is sent again, as `retries` says.
    """
    start: Any = channel.stream_stream(
        call.method,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=call.response_type.FromString,
    )
    stream: ResentStream[Response] = ResentStream(start, retries)
    counts: deque[int] = deque()  # of the items of the batches on the way
    try:
        for number, batch in enumerate(_batches(items, call.batch_size)):
            stream.put(call.request(batch, number == 0))
            counts.append(len(batch))
            if len(counts) == BATCHES_ON_THE_WAY:
                yield from call.answers(stream.next(), counts.popleft())
        stream.put(None)
        while counts:
            yield from call.answers(stream.next(), counts.popleft())
        for _ in stream:  # none is left: this waits for the status of the call
            raise ServerError("the server answered more than it was asked")
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
