"""Runs a bidirectional call for the asynchronous client."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from dragoman_client.aio_resent_stream import AsyncResentStream
from dragoman_client.batch_calls import BATCHES_ON_THE_WAY, BatchCall
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.responses import ItemResult
from dragoman_client.stream_retries import StreamRetries

Item = TypeVar("Item")
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")


async def answers(
    channel: grpc.aio.Channel,
    call: BatchCall[Item, Response, Answer],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    retries: StreamRetries,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
) -> AsyncGenerator[ItemResult[Answer], None]:
    """What became of each item, in order.

    ``items`` is read a batch at a time, as answers are taken. What it raises is raised here; then,
    and when the iterator is closed, the call is cancelled. A call that is refused before its first
    answer is sent again, as `retries` says.
    """
    start: Any = channel.stream_stream(
        call.method,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=call.response_type.FromString,
    )
    stream: AsyncResentStream[Response] = AsyncResentStream(start, retries, before_answer=1)
    counts: deque[int] = deque()  # of the items of the batches on the way
    first = True
    try:
        async for batch in _batches(items, call.batch_size):
            stream.put(call.request(batch, first))
            first = False
            counts.append(len(batch))
            if len(counts) == BATCHES_ON_THE_WAY:
                for answer in call.answers(await stream.next(), counts.popleft()):
                    yield answer
        stream.put(None)
        while counts:
            for answer in call.answers(await stream.next(), counts.popleft()):
                yield answer
        if await stream.read() is not None:  # which waits for the status of the call
            raise ServerError("the server answered more than it was asked")
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()


async def _batches(
    items: Iterable[Item] | AsyncIterable[Item], size: int
) -> AsyncIterator[list[Item]]:
    batch: list[Item] = []
    async for item in each(items):
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """The items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
