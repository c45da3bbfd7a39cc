"""What surrounds every call: ids, deadlines, cancellation, overload, drain, unreadable requests."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from dragoman.v1 import (
    embedding_service_pb2,
    translation_service_pb2,
)
from dragoman_server.errors import StartupError
from dragoman_server.grpc_server import SERVICES
from dragoman_server.health import OVERALL
from dragoman_server.listening import listen

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

Code = grpc.StatusCode
_NO_WORKERS = {"translation": 0, "language_model": 0}  # so there is one thread only
TRANSLATE = "/dragoman.v1.TranslationService/Translate"


def request_for(*texts: str) -> translation_service_pb2.TranslateRequest:
    source = translation_service_pb2.TranslationSource
    return translation_service_pb2.TranslateRequest(sources=[source(text=text) for text in texts])


def trailing(call: Any) -> dict[str, str]:
    return dict(call)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_sound_request_id_comes_back_and_an_unsound_one_is_replaced(
    server: RunningServer,
) -> None:
    for sent, kept in (("abc-1", True), ("a b", False), ("x" * 500, False), ("", False)):
        call = server.translation.Translate(request_for("a"), metadata=(("x-request-id", sent),))
        await call
        returned = trailing(await call.trailing_metadata())["x-request-id"]
        assert (returned == sent) is kept
        assert kept or re.fullmatch("[0-9a-f]{32}", returned)


async def test_a_defect_shows_only_its_id_and_is_logged_under_it(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.translator.failure = RuntimeError("the secret of the server")
    metadata = (("x-request-id", "id-7"),)
    error = await failure(server.translation.Translate(request_for("a"), metadata=metadata))
    assert error.code() is Code.INTERNAL
    assert "id-7" in (error.details() or "")
    assert "secret" not in str(error)
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "id-7" in record.getMessage()
    assert record.exc_info is not None


async def test_every_call_leaves_one_line_with_its_outcome(
    server: RunningServer, caplog: pytest.LogCaptureFixture, wait_until: Callable[..., Any]
) -> None:
    def lines() -> list[logging.LogRecord]:
        return [one for one in caplog.records if one.name == "dragoman_server.access"]

    caplog.set_level(logging.INFO)
    await server.translation.Translate(request_for("private text"))
    await failure(server.translation.Translate(request_for()))
    await wait_until(lambda: len(lines()) >= 2)  # a line is written after the answer is sent
    fields = [getattr(line, "fields", {}) for line in lines()]
    assert [one["code"] for one in fields] == ["OK", "INVALID_ARGUMENT"]
    assert {one["method"] for one in fields} == {TRANSLATE}
    assert "private" not in caplog.text


async def test_a_passed_deadline_stops_the_work(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    server.translator.steps_a_call = 100_000
    server.translator.seconds_a_step = 0.001
    error = await failure(server.translation.Translate(request_for("a"), timeout=0.2))
    assert error.code() is Code.DEADLINE_EXCEEDED
    await wait_until(lambda: server.parts.queues[0].running == 0)
    assert 0 < server.translator.steps < 100_000


async def test_a_deadline_of_a_millisecond_is_an_answer_like_any_other(
    server: RunningServer,
) -> None:
    server.translator.steps_a_call = 1_000
    server.translator.seconds_a_step = 0.001
    for _ in range(20):
        error = await failure(server.translation.Translate(request_for("a"), timeout=0.001))
        assert error.code() is Code.DEADLINE_EXCEEDED
    server.translator.steps_a_call = 1
    assert await server.translation.Translate(request_for("a"))


async def test_a_caller_that_goes_away_stops_its_work(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    server.translator.steps_a_call = 100_000
    server.translator.seconds_a_step = 0.001
    call = server.translation.Translate(request_for("a"))
    task = asyncio.ensure_future(call)
    await wait_until(lambda: server.translator.steps > 3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until(lambda: server.parts.queues[0].running == 0)
    assert server.translator.steps < 100_000


async def test_the_server_bounds_calls_without_a_deadline(server_with: ServerFactory) -> None:
    async with server_with({"max_deadline_seconds": 0.2}) as server:
        server.translator.steps_a_call = 100_000
        server.translator.seconds_a_step = 0.001
        error = await failure(server.translation.Translate(request_for("a")))
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert "0.2 s" in (error.details() or "")


async def test_overload_says_when_to_come_back_and_starts_nothing(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    async with server_with(
        {"worker_threads": 1, "workers": _NO_WORKERS, "max_queued_calls": 1}
    ) as server:
        server.translator.may_go_on.clear()
        held = [asyncio.ensure_future(server.translation.Translate(request_for("first")))]
        await wait_until(lambda: server.parts.queues[0].running == 1)  # or they share a batch
        held.append(asyncio.ensure_future(server.translation.Translate(request_for("second"))))
        await wait_until(lambda: server.parts.queues[0].queued == 1)
        error = await failure(server.translation.Translate(request_for("third")))
        server.translator.may_go_on.set()
        await asyncio.gather(*held)
        assert ("third",) not in server.translator.calls
    assert error.code() is Code.UNAVAILABLE
    pushback = int(trailing(error.trailing_metadata())["grpc-retry-pushback-ms"])
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == pushback > 0


async def test_draining_finishes_what_runs_and_refuses_what_comes(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    server.translator.may_go_on.clear()
    held = asyncio.ensure_future(server.translation.Translate(request_for("a b")))
    await wait_until(lambda: server.parts.admission.in_flight == 1)
    await server.parts.health.drain()
    server.parts.admission.refuse_new_calls()
    error = await failure(server.translation.Translate(request_for("late")))
    assert error.code() is Code.UNAVAILABLE
    assert "grpc-retry-pushback-ms" in trailing(error.trailing_metadata())
    assert not await server.parts.admission.wait_until_idle(0.01)
    server.translator.may_go_on.set()
    assert (await held).results[0].translation.hypotheses[0].text == "b a"
    assert await server.parts.admission.wait_until_idle(5)


async def test_calls_beyond_the_grace_period_are_told_so(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    server.translator.steps_a_call = 100_000
    server.translator.seconds_a_step = 0.001
    held = asyncio.ensure_future(server.translation.Translate(request_for("a")))
    await wait_until(lambda: server.translator.steps > 0)
    server.parts.admission.end_calls()
    error = await failure(held)
    assert error.code() is Code.UNAVAILABLE
    assert "stopping" in (error.details() or "")


async def test_health_turns_from_not_serving_to_serving_and_back(server: RunningServer) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    serving, not_serving = (health_pb2.HealthCheckResponse.SERVING,), (2,)
    for name in ("", *SERVICES):
        found = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert (found.status,) == not_serving
    watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
    seen = [(await watch.read()).status]
    await server.parts.health.set_serving([OVERALL])
    seen.append((await watch.read()).status)
    await server.parts.health.drain()
    seen.append((await watch.read()).status)
    await server.parts.health.set_serving([OVERALL])  # too late: it is going
    found = await health.Check(health_pb2.HealthCheckRequest(service=""))
    watch.cancel()
    assert (tuple(seen), found.status) == ((*not_serving, *serving, *not_serving), 2)


async def test_an_unknown_service_has_no_health(server: RunningServer) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    error = await failure(health.Check(health_pb2.HealthCheckRequest(service="none")))
    assert error.code() is Code.NOT_FOUND


async def raw_call(server: RunningServer, method: str, data: bytes) -> grpc.aio.AioRpcError:
    channel: Any = server.channel
    return await failure(channel.unary_unary(method)(data))


async def test_bytes_that_are_no_message_are_an_argument_error(server: RunningServer) -> None:
    error = await raw_call(server, TRANSLATE, b"\xff\xff\xff")
    assert error.code() is Code.INVALID_ARGUMENT
    assert "dragoman.v1.TranslateRequest" in (error.details() or "")


async def test_text_that_is_not_utf8_is_an_argument_error(server: RunningServer) -> None:
    error = await raw_call(server, TRANSLATE, b"\x12\x04\n\x02\xff\xfe")
    assert error.code() is Code.INVALID_ARGUMENT
    assert (error.details() or "").startswith("sources[0].text: is not UTF-8")


@pytest.mark.parametrize("times", [1.1, 8.0])
async def test_a_message_over_the_limit_is_refused_with_the_limit(
    server_with: ServerFactory, times: float
) -> None:
    async with server_with({"limits": {"message_bytes": 10_000}}) as server:
        error = await failure(server.translation.Translate(request_for("x" * int(times * 10_000))))
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert re.search("10,?000|40000", error.details() or "")


async def test_what_is_not_served_yet_is_unimplemented_by_name(server: RunningServer) -> None:
    path = server.evaluation.EvaluateTranslation._method.decode()
    channel: Any = server.channel
    error = await failure(channel.unary_stream(path)(b"").read())
    assert error.code() is Code.UNIMPLEMENTED
    assert path[1:] in (error.details() or "")


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("dragoman.v1.TranslationService", True),
        ("dragoman.v1.TranslationService.Translate", True),
        ("dragoman.v1.TranslationService.Transmogrify", False),
        ("dragoman.v1.TranslateRequest.sources", True),
        ("google.rpc.BadRequest", True),
        ("none.of.these", False),
        ("", False),
    ],
)
async def test_reflection_finds_services_calls_fields_and_details(
    server: RunningServer, symbol: str, found: bool
) -> None:
    channel: Any = server.channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    call = stub.ServerReflectionInfo(iter([request]))
    response = await call.read()
    assert response.HasField("file_descriptor_response") is found
    call.cancel()


async def test_reflection_lists_every_service(server: RunningServer) -> None:
    channel: Any = server.channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    listed = {one.name for one in (await call.read()).list_services_response.service}
    call.cancel()
    assert listed == {
        *SERVICES,
        "grpc.channelz.v1.Channelz",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_second_server_on_the_port_is_refused(server: RunningServer) -> None:
    second = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    port = server.address.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104 - it is refused
        with pytest.raises(StartupError, match=f"{host}:{port}: address already in use"):
            listen(second, f"{host}:{port}")
    with pytest.raises(StartupError, match="no host"):
        listen(second, "no..host:50051")
    await second.stop(0)


async def test_one_unknown_word_among_many_concurrent_calls_harms_no_other(
    server: RunningServer,
) -> None:
    words = ["cat", "unicorn", "dog"] * 20
    request = embedding_service_pb2.EmbedRequest
    answers = await asyncio.gather(
        *(server.embedding.Embed(request(words=[word])) for word in words)
    )
    kinds = [answer.results[0].WhichOneof("result") for answer in answers]
    assert kinds == ["word_vector", "error", "word_vector"] * 20
