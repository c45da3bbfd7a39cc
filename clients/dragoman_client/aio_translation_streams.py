# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""The TranslateStream of the asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

import grpc

from dragoman.v1.translation_service_pb2 import TranslateStreamRequest, TranslateStreamResponse
from dragoman_client.aio_streams import each, next_of, taken
from dragoman_client.errors import DragomanClientError
from dragoman_client.responses import ItemResult
from dragoman_client.results import Translation
from dragoman_client.translation_streams import METHOD, OnSummary, OrderedStream


async def translations(
    channel: grpc.aio.Channel,
    ordered: OrderedStream,
    texts: Iterable[str] | AsyncIterable[str],
    *,
    timeout: float | None,
    error_of: Callable[[grpc.RpcError], DragomanClientError],
    on_summary: OnSummary,
) -> AsyncGenerator[ItemResult[Translation], None]:
    """What became of each text, in order."""
    outgoing: asyncio.Queue[Any] = asyncio.Queue()  # None: no more come
    start: Any = channel.stream_stream(
        METHOD,
        request_serializer=TranslateStreamRequest.SerializeToString,
        response_deserializer=TranslateStreamResponse.FromString,
    )
    outgoing.put_nowait(ordered.config)
    stream = start(taken(outgoing), timeout=timeout)
    try:
        async for text in each(texts):
            outgoing.put_nowait(ordered.item(text))
            while ordered.is_full:
                ordered.take(await next_of(stream))
                for result in ordered.ready():
                    yield result
        outgoing.put_nowait(None)
        while (response := await stream.read()) is not grpc.aio.EOF:
            ordered.take(response)
            for result in ordered.ready():
                yield result
        on_summary(ordered.checked_summary())
    except grpc.RpcError as error:
        raise error_of(error) from None
    finally:
        stream.cancel()
