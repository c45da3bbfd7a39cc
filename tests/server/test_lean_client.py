"""The client that benchmarks count with sees calls end as gRPC's own client would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
from tests.benchmarks.serving.lean_client import LeanAnswer, lean_client

from dragoman.v1 import translation_service_pb2 as pb

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer

_METHOD = "/dragoman.v1.TranslationService/Translate"
_GOOD = pb.TranslateRequest(sources=[pb.TranslationSource(text="word")]).SerializeToString()


async def test_answers_errors_refusals_and_late_calls(server: RunningServer) -> None:
    async with lean_client(server.address, _METHOD, deadline=60.0, connections=2) as client:
        answers = await asyncio.gather(*(client.call(_GOOD) for _ in range(100)))
        assert set(answers) == {LeanAnswer(code=grpc.StatusCode.OK)}
        assert (await client.call(b"\xff")).code is grpc.StatusCode.INVALID_ARGUMENT
        server.translator.may_go_on.clear()
        async with lean_client(server.address, _METHOD, deadline=0.2, connections=1) as hasty:
            assert (await hasty.call(_GOOD)).code is grpc.StatusCode.DEADLINE_EXCEEDED
        server.parts.admission.refuse_new_calls()
        refused = LeanAnswer(code=grpc.StatusCode.UNAVAILABLE, has_pushback=True)
        assert await client.call(_GOOD) == refused


async def test_more_requests_than_the_connection_s_window_arrive(server: RunningServer) -> None:
    long = pb.TranslateRequest(sources=[pb.TranslationSource(text="w" * 5_000)]).SerializeToString()
    async with lean_client(server.address, _METHOD, deadline=30.0, connections=1) as client:
        answers = await asyncio.gather(*(client.call(long) for _ in range(50)))
        for _ in range(10):  # headers do not count, or the window would be used up by now
            answers += await asyncio.gather(*(client.call(_GOOD) for _ in range(100)))
    assert {answer.code for answer in answers} == {grpc.StatusCode.OK}
