# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""Runs a bidirectional call for the asynchronous client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from dragoman_client.batch_calls import BATCHES_ON_THE_WAY, BatchCall
from dragoman_client.errors import DragomanClientError, ServerError
from dragoman_client.responses import ItemResult

Item = TypeVar("Item")
Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")


async def answers(
    channel: grpc.aio.Channel,
    call: BatchCall[Item, Response, Answer],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    timeout: float | None,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
) -> AsyncGenerator[ItemResult[Answer], None]:
    """What became of each item, in order.

    ``items`` is read a batch at a time, as answers are taken. What it raises is raised here; then,
    and when the iterator is closed, the call is cancelled.
    """
    outgoing: asyncio.Queue[Message | None] = asyncio.Queue()  # None ends the requests
    start: Any = channel.stream_stream(
        call.method,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=call.response_type.FromString,
    )
    stream = start(taken(outgoing), timeout=timeout)
    counts: deque[int] = deque()  # of the items of the batches on the way
    first, allowed = True, 1
    try:
        async for batch in _batches(items, call.batch_size):
            outgoing.put_nowait(call.request(batch, first))
            first = False
            counts.append(len(batch))
            # A write to a call that the server has just refused would hide its status, so the
            # second batch waits for the first answer: refused is a stream only at its beginning.
            if len(counts) == allowed:
                allowed = BATCHES_ON_THE_WAY
                for answer in call.answers(await next_of(stream), counts.popleft()):
                    yield answer
        outgoing.put_nowait(None)
        while counts:
            for answer in call.answers(await next_of(stream), counts.popleft()):
                yield answer
        if await stream.read() is not grpc.aio.EOF:  # which waits for the status of the call
            raise ServerError("the server answered more than it was asked")
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()


async def taken(outgoing: asyncio.Queue[Message | None]) -> AsyncIterator[Message]:
    """What is put into ``outgoing``, until None."""
    while (message := await outgoing.get()) is not None:
        yield message


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


async def next_of(stream: Any) -> Any:
    response = await stream.read()
    if response is grpc.aio.EOF:
        # An error that ended the call before would have been raised.
        raise ServerError("the server ended the stream before all was answered")
    return response
