"""While calls of a client are refused for the load, what they hold is not looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dragoman.v1 import translation_service_pb2
from dragoman_models.errors import OverloadedError
from dragoman_server.batching.admission import Refusal
from dragoman_server.caller import Caller

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

_METHOD = "/dragoman.v1.TranslationService/Translate"
_NO_MESSAGE = b"\xff\xff\xff"


def request_for(text: str) -> translation_service_pb2.TranslateRequest:
    source = translation_service_pb2.TranslationSource(text=text)
    return translation_service_pb2.TranslateRequest(sources=[source])


@asynccontextmanager
async def shedding(
    server_with: ServerFactory, wait_until: Callable[..., Any], client: str
) -> AsyncIterator[RunningServer]:
    """A server whose only thread is busy, and that has just refused a call of `client`."""
    settings = {"worker_threads": 1, "workers": {"translation": 0, "language_model": 0}}
    async with server_with(settings) as server:
        server.translator.may_go_on.clear()
        held = asyncio.ensure_future(server.translation.Translate(request_for("first")))
        await wait_until(lambda: server.parts.queues[0].running == 1)
        gate = server.parts.queues[0].batcher._gate
        caller = Caller(client=client, method=_METHOD)
        for _ in range(10):
            gate.seen(caller, 1)
        error = OverloadedError("the queue is full", 5.0)
        # A minute from now, so that on a slow machine it is still closed when the call comes.
        later = time.monotonic() + 60.0
        gate.refused(caller, 1, Refusal(reason="queue", error=error, wait_seconds=9.0), later)
        yield server
        server.translator.may_go_on.set()
        await held


async def sent(server: RunningServer, data: bytes) -> grpc.aio.AioRpcError:
    call: Any = server.channel.unary_unary(_METHOD)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(data)
    return caught.value


async def test_a_call_is_refused_whatever_it_holds(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    async with shedding(server_with, wait_until, "ipv4:127.0.0.1") as server:
        error = await sent(server, _NO_MESSAGE)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailing = dict(error.trailing_metadata() or ())
    assert 5_000 < int(trailing["grpc-retry-pushback-ms"]) <= 65_000
    assert trailing["x-request-id"]
    assert not tuple(error.initial_metadata() or ())  # or no client would send it again


async def test_calls_of_others_are_read_and_answered_meanwhile(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    async with shedding(server_with, wait_until, "ipv4:10.0.0.9") as server:
        assert server.parts.queues[0].batcher.sheds(_METHOD)
        error = await sent(server, _NO_MESSAGE)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        answer = asyncio.ensure_future(server.translation.Translate(request_for("second")))
        await wait_until(lambda: server.parts.queues[0].queued == 1)
        server.translator.may_go_on.set()
        assert (await answer).results[0].translation.hypotheses[0].text == "second"
