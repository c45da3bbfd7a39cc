"""Both clients stream any iterable in constant memory and in order, and end well in all cases."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1 import model_pb2
from dragoman_client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    DragomanClientError,
    InvalidRequestError,
    NotFoundError,
    SearchOptions,
    ServerError,
    VectorQuery,
    WeightedWords,
    WordLookup,
)

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Stream = Callable[..., list[Any]]


def collect(address: str, name: str, items: Iterable[Any], **options: Any) -> list[Any]:
    with Client(address) as client:
        return list(getattr(client, name)(items, **options))


def collect_async(address: str, name: str, items: Iterable[Any], **options: Any) -> list[Any]:
    async def run() -> list[Any]:
        async with AsyncClient(address) as client:
            return [answer async for answer in getattr(client, name)(items, **options)]

    return asyncio.run(run())


@pytest.fixture(params=[collect, collect_async], ids=["Client", "AsyncClient"])
def stream(request: pytest.FixtureRequest) -> Stream:
    made: Stream = request.param
    return made


def answered(batch: pb.EmbedRequest) -> pb.EmbedStreamResponse:
    """The length of each word as its vector; "bad" is an unknown word."""
    response = pb.EmbedStreamResponse()
    response.batch.model.CopyFrom(model_pb2.ModelVersion(name="lengths", version=1))
    for word in batch.words:
        result = response.batch.results.add()
        if word == "bad":
            result.error.CopyFrom(unknown(word))
        else:
            result.word_vector.word.word = word
            result.word_vector.vector.values.append(len(word))
    return response


def unknown(word: str) -> status_pb2.Status:
    status = status_pb2.Status(code=5, message=f"the word '{word}' is not in the vocabulary")
    status.details.add().Pack(
        error_details_pb2.ResourceInfo(resource_type="word", resource_name=word)
    )
    spelling = pb.SpellingSuggestions(word=word, suggestions=["bed", "bat"])
    status.details.add().Pack(spelling)
    return status


@pytest.fixture
def lengths(server: FakeServer) -> tuple[FakeServer, list[pb.EmbedRequest]]:
    """A server that embeds words by their lengths, and the batches that it got."""
    batches: list[pb.EmbedRequest] = []

    def embed(
        requests: Iterator[pb.EmbedStreamRequest], _: grpc.ServicerContext
    ) -> Iterator[pb.EmbedStreamResponse]:
        for request in requests:
            batches.append(request.batch)
            yield answered(request.batch)

    server.answers["EmbedStream"] = embed  # type: ignore[assignment]
    return server, batches


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 100])
def test_answers_come_in_order_and_batches_are_full(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]], stream: Stream, count: int
) -> None:
    server, batches = lengths
    words = ["x" * (1 + i % 9) for i in range(count)]
    found = stream(server.address, "embed_stream", iter(words), batch_size=3)
    assert [answer.word.word for answer in found] == words
    assert [answer.values for answer in found] == [(float(len(word)),) for word in words]
    sizes = [len(batch.words) for batch in batches]
    assert sizes == [3] * (count // 3) + ([count % 3] if count % 3 else [])


def test_only_the_first_batch_carries_model_and_options(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]], stream: Stream
) -> None:
    server, batches = lengths
    options = {"model": "glove", "lookup": WordLookup.EXACT, "normalize": True}
    stream(server.address, "embed_stream", ["a", "b", "c"], batch_size=1, **options)
    first, *others = batches
    assert (first.model.name, first.lookup, first.normalize) == ("glove", 2, True)
    assert all([field.name for field, _ in one.ListFields()] == ["words"] for one in others)
    assert len(others) == 2


def test_an_item_that_failed_stands_in_its_place_with_suggestions(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]], stream: Stream
) -> None:
    server, _ = lengths
    good, bad, last = stream(server.address, "embed_stream", ["a", "bad", "ccc"])
    assert isinstance(bad, NotFoundError)
    assert (bad.resource_name, bad.suggestions) == ("bad", ("bed", "bat"))
    assert (good.values, last.values) == ((1.0,), (3.0,))


def test_words_are_read_no_further_than_two_batches_ahead(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]],
) -> None:
    server, _ = lengths
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for read in itertools.count(1):  # noqa: B007 - counted
            yield "word"

    with Client(server.address) as client:
        answers = client.embed_stream(endless(), batch_size=5)
        for taken in range(1, 61):
            next(answers)
            assert read <= 5 * (-(-taken // 5) + 1)
        answers.close()  # type: ignore[attr-defined]


def test_words_are_read_no_further_than_two_batches_ahead_by_the_asynchronous_client(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]],
) -> None:
    server, _ = lengths
    read = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal read
        for read in itertools.count(1):  # noqa: B007 - counted
            yield "word"

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            taken = 0
            answers = client.embed_stream(endless(), batch_size=5)
            async for _ in answers:
                taken += 1
                assert read <= 5 * (-(-taken // 5) + 1)
                if taken == 60:
                    break
            await answers.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_what_the_words_raise_is_raised_and_the_call_is_cancelled(
    server: FakeServer, stream: Stream
) -> None:
    ended = threading.Event()

    def embed(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(ended.set)
        for request in requests:
            yield answered(request.batch)

    server.answers["EmbedStream"] = embed  # type: ignore[assignment]

    def words() -> Iterator[str]:
        yield from ["a"] * 10
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        stream(server.address, "embed_stream", words(), batch_size=2)
    assert ended.wait(timeout=10)


def test_an_error_in_the_middle_comes_after_the_answers_before_it(server: FakeServer) -> None:
    wrong = error_details_pb2.BadRequest()
    wrong.field_violations.add(field="batch.words", description="is empty; give words")
    status = status_pb2.Status(code=3, message="batch.words: is empty; give words")
    status.details.add().Pack(wrong)

    def embed(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        yield answered(next(requests).batch)
        context.abort_with_status(rpc_status.to_status(status))

    server.answers["EmbedStream"] = embed  # type: ignore[assignment]
    got: list[Any] = []
    with Client(server.address) as client:
        answers = client.embed_stream(["a", "b", "c", "d"], batch_size=2)
        with pytest.raises(InvalidRequestError) as caught:
            got.extend(answers)
    assert [answer.word.word for answer in got] == ["a", "b"]
    assert [violation.field for violation in caught.value.violations] == ["batch.words"]


def test_a_server_that_answers_too_little_or_too_much_is_at_fault(
    server: FakeServer, stream: Stream
) -> None:
    def silent(_: Iterator[Any], __: grpc.ServicerContext) -> Iterator[Any]:
        yield from ()

    def short(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for _ in requests:
            yield answered(pb.EmbedRequest(words=["a"]))

    def long(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            yield answered(request.batch)
            yield answered(request.batch)

    for answer in (silent, short, long):
        server.answers["EmbedStream"] = answer  # type: ignore[assignment]
        with pytest.raises(ServerError):
            stream(server.address, "embed_stream", ["a", "b"])


def test_a_timeout_ends_a_stream(server: FakeServer, stream: Stream) -> None:
    def stall(_: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        while context.is_active():
            time.sleep(0.01)
        yield from ()

    server.answers["EmbedStream"] = stall  # type: ignore[assignment]
    with pytest.raises(DeadlineExceededError, match=r"within 0\.2 s"):
        stream(server.address, "embed_stream", ["a"], timeout=0.2)


def test_wrong_arguments_are_refused_by_name(server: FakeServer, stream: Stream) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        stream(server.address, "embed_stream", ["a"], batch_size=0)
    with pytest.raises(ValueError, match="timeout is -1"):
        stream(server.address, "nearest_stream", ["a"], timeout=-1)
    with pytest.raises(InvalidRequestError, match=r"words\[1\]: character 1 is a lone surrogate"):
        stream(server.address, "embed_stream", ["a", "\ud800"])


def test_queries_of_all_kinds_are_streamed(server: FakeServer, stream: Stream) -> None:
    seen: list[pb.NearestRequest] = []

    def nearest(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            seen.append(request.batch)
            response = pb.NearestStreamResponse()
            for query in request.batch.queries:
                kind = query.WhichOneof("query")
                response.batch.results.add().neighbors.neighbors.add(word=kind, score=1, rank=1)
            yield response

    server.answers["NearestStream"] = nearest  # type: ignore[assignment]
    queries = ["king", VectorQuery(values=(0.5, -1.0)), WeightedWords.of(["a"], ["b"])]
    options = SearchOptions(k=3, excluded_words=("x",))
    found = stream(server.address, "nearest_stream", queries, options=options, batch_size=2)
    kinds = [answer.neighbors[0].word for answer in found]
    assert kinds == ["word", "vector", "weighted_words"]
    assert list(seen[0].queries[1].vector.values) == [0.5, -1.0]
    assert [(w.word, w.weight) for w in seen[1].queries[0].weighted_words.words] == [
        ("a", 1.0), ("b", -1.0)
    ]  # fmt: skip
    assert (seen[0].options.k, list(seen[0].options.excluded_words)) == (3, ["x"])
    assert not seen[1].HasField("options")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.integers(1, 20))
def test_any_words_in_any_batches_arrive_as_they_were_written(
    lengths: tuple[FakeServer, list[pb.EmbedRequest]], words: list[str], size: int
) -> None:
    server, _ = lengths
    found = collect(server.address, "embed_stream", words, batch_size=size)
    for word, answer in zip(words, found, strict=True):
        if word == "bad":
            assert isinstance(answer, DragomanClientError)
        else:
            assert (answer.word.word, answer.values) == (word, (float(len(word)),))
