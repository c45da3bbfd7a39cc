"""A stream that is refused before its first answer is sent again, whole; never after it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from dragoman.v1 import embedding_service_pb2 as embedding_pb
from dragoman.v1 import translation_service_pb2 as translation_pb
from dragoman_client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    DragomanClientError,
    QuotaExceededError,
    Retries,
    UnavailableError,
)
from dragoman_client.stream_retries import StreamRetries

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

WORDS = [f"word-{number}" for number in range(1_000)]
FAST = Retries(attempts=4, initial_backoff=0.01, max_backoff=0.02)
Refusal = tuple[grpc.StatusCode, int | None]  # and milliseconds of pushback
FULL: Refusal = (grpc.StatusCode.UNAVAILABLE, 1)


def streamed(address: str, name: str, items: Any, **options: Any) -> list[Any]:
    retries = options.pop("retries", FAST)
    with Client(address, retries=retries) as client:
        return list(getattr(client, name)(items, **options))


def streamed_async(address: str, name: str, items: Any, **options: Any) -> list[Any]:
    async def run() -> list[Any]:
        retries = options.pop("retries", FAST)
        async with AsyncClient(address, retries=retries) as client:
            return [answer async for answer in getattr(client, name)(items, **options)]

    return asyncio.run(run())


@pytest.fixture(params=[streamed, streamed_async], ids=["Client", "AsyncClient"])
def stream(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    made: Callable[..., list[Any]] = request.param
    return made


def _embedded(requests: Iterator[Any]) -> Iterator[Any]:
    for request in requests:
        response = embedding_pb.EmbedStreamResponse()
        for word in request.batch.words:
            response.batch.results.add().word_vector.word.word = word
        yield response


def _translated(requests: Iterator[Any]) -> Iterator[Any]:
    assert next(requests).HasField("config")
    count = 0
    for request in requests:
        response = translation_pb.TranslateStreamResponse()
        response.item_result.id = request.item.id
        translation = response.item_result.result.translation
        translation.hypotheses.add(text=request.item.source.text)
        count += 1
        yield response
    summary = translation_pb.TranslateStreamResponse()
    summary.summary.item_count = count
    yield summary


CALLS: dict[str, tuple[str, Callable[[Iterator[Any]], Iterator[Any]], Callable[[Any], str]]] = {
    "embed_stream": ("EmbedStream", _embedded, lambda found: found.word.word),
    "translate_stream": ("TranslateStream", _translated, lambda found: found.hypotheses[0].text),
}


def refuse(
    server: FakeServer,
    refusals: Sequence[Refusal],
    *,
    after_reading: int = 0,
    after_answers: int = 0,
) -> None:
    """Ends a stream by each of the refusals in turn, after so many messages and answers."""
    left = list(refusals)

    def made(answers: Callable[[Iterator[Any]], Iterator[Any]]) -> Any:
        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            if not left:
                yield from answers(requests)
                return
            code, pushback = left.pop(0)
            yield from itertools.islice(answers(requests), after_answers)
            for _ in itertools.islice(requests, after_reading):
                pass
            if pushback is not None:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", str(pushback)),))
            context.abort(code, "the queue is full")

        return answer

    for name, answers, _ in CALLS.values():
        server.answers[name] = made(answers)


# A server refuses at the beginning, or by the first batch or text.
@pytest.mark.parametrize(
    ("name", "after_reading"),
    [("embed_stream", 0), ("embed_stream", 1), ("translate_stream", 0), ("translate_stream", 2)],
)
def test_all_of_a_refused_stream_is_sent_again(
    server: FakeServer, stream: Callable[..., list[Any]], name: str, after_reading: int
) -> None:
    refuse(server, [FULL, FULL, FULL], after_reading=after_reading)
    found = stream(server.address, name, iter(WORDS))
    assert [CALLS[name][2](one) for one in found] == WORDS
    assert len(server.times) == 4


@pytest.mark.parametrize("name", CALLS)
def test_attempts_are_counted(
    server: FakeServer, stream: Callable[..., list[Any]], name: str
) -> None:
    for attempts in (1, 3):
        server.times.clear()
        refuse(server, [FULL] * 9)
        with pytest.raises(UnavailableError):
            stream(server.address, name, WORDS, retries=Retries(attempts=attempts))
        assert len(server.times) == attempts


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_sent_again_after_an_answer(
    server: FakeServer, stream: Callable[..., list[Any]], name: str
) -> None:
    refuse(server, [FULL], after_answers=1)
    with pytest.raises(UnavailableError):
        stream(server.address, name, WORDS)
    assert len(server.times) == 1


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((grpc.StatusCode.UNAVAILABLE, -1), UnavailableError),
        ((grpc.StatusCode.RESOURCE_EXHAUSTED, None), QuotaExceededError),
        ((grpc.StatusCode.INTERNAL, None), DragomanClientError),
    ],
)
def test_what_is_not_to_be_sent_again_is_not(
    server: FakeServer,
    stream: Callable[..., list[Any]],
    refusal: Refusal,
    error: type[Exception],
) -> None:
    refuse(server, [refusal], after_reading=1)
    with pytest.raises(error):
        stream(server.address, "embed_stream", WORDS)
    assert len(server.times) == 1


def test_the_server_s_pushback_is_obeyed_whatever_the_status(
    server: FakeServer, stream: Callable[..., list[Any]]
) -> None:
    refusals = [(grpc.StatusCode.RESOURCE_EXHAUSTED, 300), (grpc.StatusCode.UNAVAILABLE, 300)]
    refuse(server, refusals, after_reading=1)
    assert len(stream(server.address, "embed_stream", WORDS)) == len(WORDS)
    pauses = [after - before for before, after in itertools.pairwise(server.times)]
    assert min(pauses) >= 0.295


def test_a_deadline_holds_over_all_attempts(
    server: FakeServer, stream: Callable[..., list[Any]]
) -> None:
    refuse(server, [(grpc.StatusCode.UNAVAILABLE, 60_000)], after_reading=1)
    with pytest.raises((UnavailableError, DeadlineExceededError)):
        stream(server.address, "embed_stream", WORDS, timeout=20.0)
    # gRPC rounds long time-outs up by some per cent.
    refuse(server, [(grpc.StatusCode.UNAVAILABLE, 2_000)], after_reading=1)
    server.deadlines.clear()
    assert stream(server.address, "embed_stream", ["a"], timeout=20.0)
    assert server.deadlines[0] - server.deadlines[1] >= 1.0


def test_pauses_grow_to_their_longest_and_no_further() -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return "full"

        def trailing_metadata(self) -> tuple[()]:
            return ()

    retries = Retries(attempts=5, initial_backoff=1.0, max_backoff=3.0, multiplier=2.0)
    attempts = StreamRetries(retries, None)
    for longest in (1.0, 2.0, 3.0, 3.0):
        pause = attempts.pause_after(Failed())
        assert pause is not None
        assert 0.8 * longest <= pause <= 1.2 * longest
    assert attempts.pause_after(Failed()) is None
