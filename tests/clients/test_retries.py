"""A call that found the server UNAVAILABLE is sent again when the server wants it, not before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dragoman.v1.translation_service_pb2 import TranslateResponse
from dragoman_client import Client, DeadlineExceededError, Retries, UnavailableError

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Call = Callable[..., Any]


def refuse_first(server: FakeServer, pushbacks: Sequence[int | None]) -> None:
    """Answers Translate after one UNAVAILABLE for each of ``pushbacks`` (milliseconds)."""
    left = list(pushbacks)

    def answer(request: Any, context: grpc.ServicerContext) -> TranslateResponse:
        if left:
            pushback = left.pop(0)
            if pushback is not None:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", str(pushback)),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
        response = TranslateResponse()
        for source in request.sources:
            response.results.add().translation.hypotheses.add(text=source.text)
        return response

    server.answers["Translate"] = answer


def pauses(server: FakeServer) -> list[float]:
    return [after - before for before, after in itertools.pairwise(server.times)]


def test_retries_back_off(server: FakeServer, call: Call) -> None:
    refuse_first(server, [None, None, None])
    assert call(server.address, "translate", "a").text == "a"
    first, second, third = pauses(server)
    # 0.1, 0.2 and 0.4 s, each give or take a fifth
    assert first >= 0.08
    assert second >= 0.16
    assert third >= 0.32


def test_the_servers_pushback_is_obeyed(server: FakeServer, call: Call) -> None:
    refuse_first(server, [300, 300])
    assert call(server.address, "translate", "a").text == "a"
    assert len(pauses(server)) == 2
    assert min(pauses(server)) >= 0.295  # without it, 0.08 s and 0.16 s would do


def test_a_negative_pushback_forbids_retries(server: FakeServer, call: Call) -> None:
    refuse_first(server, [-1])
    with pytest.raises(UnavailableError, match="the queue is full"):
        call(server.address, "translate", "a")
    assert len(server.times) == 1


def test_attempts_are_counted(server: FakeServer) -> None:
    for attempts in (1, 3):
        refuse_first(server, [1] * 9)
        server.times.clear()
        with (
            Client(server.address, retries=Retries(attempts=attempts)) as client,
            pytest.raises(UnavailableError),
        ):
            client.translate("a")
        assert len(server.times) == attempts


def test_a_large_request_is_retried_too(server: FakeServer, call: Call) -> None:
    # gRPC's own buffer for retries would hold 256 KiB and give up in silence beyond.
    refuse_first(server, [1, 1])
    large = ["x" * 10_000] * 400
    assert len(call(server.address, "translate", large)) == 400
    assert len(server.times) == 3


def test_a_deadline_holds_over_retries(server: FakeServer, call: Call) -> None:
    refuse_first(server, [60_000])
    with pytest.raises((DeadlineExceededError, UnavailableError)):
        call(server.address, "translate", "a", timeout=0.3)
    assert len(server.times) == 1
