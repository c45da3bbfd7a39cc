"""Handlers made of others: once for each, and to the same answers for the same callers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from dragoman_server.interceptors.handlers import MadeHandlers, reading_late


def handler_of(answer: str) -> Any:
    async def behave(request: Any, context: Any) -> str:
        return answer

    return grpc.unary_unary_rpc_method_handler(behave)


def test_a_handler_is_made_once_for_each_method_and_each_handler() -> None:
    asked: list[tuple[str, Any]] = []

    def make(method: str, handler: Any) -> Any:
        asked.append((method, handler))
        return handler_of(method)

    made = MadeHandlers(make)
    first, second = handler_of("first"), handler_of("second")
    one = made.of("/s/A", first)
    assert made.of("/s/A", first) is one
    # The same handler for another method knows that method's name.
    assert made.of("/s/B", first) is not one
    assert made.of("/s/A", second) is not one
    assert asked == [("/s/A", first), ("/s/B", first), ("/s/A", second)]


class Late(grpc.GenericRpcHandler):
    """Answers "/t/One" and "/t/Many" by handlers that read late; what was read is kept."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.refusing = False
        self._handlers = {
            "/t/One": reading_late(grpc.unary_unary_rpc_method_handler(self._one, self._reads)),
            "/t/Many": reading_late(grpc.unary_stream_rpc_method_handler(self._many, self._reads)),
        }

    def service(self, handler_call_details: Any) -> Any:
        handler = self._handlers[handler_call_details.method]
        return grpc.stream_stream_rpc_method_handler(_refuse) if self.refusing else handler

    def _reads(self, data: bytes) -> bytes:
        self.read.append(data)
        return data

    async def _one(self, request: bytes, context: Any) -> bytes:
        if request == b"wrong":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "so it is")
        return request[::-1]

    async def _many(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for byte in request:
            yield bytes([byte])


async def _refuse(requests: Any, context: Any) -> AsyncIterator[bytes]:
    context.set_code(grpc.StatusCode.UNAVAILABLE)
    answers: tuple[bytes, ...] = ()
    for answer in answers:
        yield answer


async def test_single_callers_notice_nothing_of_a_handler_that_reads_late() -> None:
    late = Late()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((late,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            one: Any = channel.unary_unary("/t/One")
            assert await one(b"abc") == b"cba"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one(b"wrong")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            many: Any = channel.unary_stream("/t/Many")
            assert [part async for part in many(b"xyz")] == [b"x", b"y", b"z"]
            assert late.read == [b"abc", b"wrong", b"xyz"]
            late.refusing = True
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await one(b"unread")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert late.read == [b"abc", b"wrong", b"xyz"]
    finally:
        await server.stop(0)
