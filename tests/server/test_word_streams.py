"""The streams of EmbeddingService: order, versions, back-pressure, cancellation, wrong batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from tests.server.conftest import MATRIX, WORDS, ready_version
from tests.server.test_services import fields_of, rich_status

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1.model_pb2 import ModelSelector
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.vocabulary import Vocabulary
from dragoman_server import call_deadline
from dragoman_server.config import Limits
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.word_streams import embed_stream
from dragoman_server.work_queue import WorkQueue

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

Code = grpc.StatusCode


def embed(*words: str, **fields: Any) -> pb.EmbedStreamRequest:
    return pb.EmbedStreamRequest(batch=pb.EmbedRequest(words=words, **fields))


def nearest(*words: str, **fields: Any) -> pb.NearestStreamRequest:
    queries = [pb.NearestQuery(word=word) for word in words]
    return pb.NearestStreamRequest(batch=pb.NearestRequest(queries=queries, **fields))


async def all_of(call: Any) -> list[Any]:
    return [response.batch async for response in call]


class CountingVectors(WordVectors):
    """Vectors that can be held, and count the words that they are asked for."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(Vocabulary(WORDS), matrix)
        self.asked = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def embed(self, words: Sequence[str], **options: Any) -> Any:
        self.asked += len(words)
        self.may_go_on.wait()
        return super().embed(words, **options)


async def test_batches_are_answered_in_order_as_the_single_call_answers_them(
    server: RunningServer,
) -> None:
    settings: dict[str, Any] = {"normalize": True, "lookup": pb.WORD_LOOKUP_EXACT}
    batches = [("cat", "dogs"), ("zzz",), ("DOG", "the", "cats")]
    requests = [embed(*batches[0], **settings), *(embed(*words) for words in batches[1:])]
    found = await all_of(server.embedding.EmbedStream(iter(requests)))
    for words, answer in zip(batches, found, strict=True):
        request = pb.EmbedRequest(words=words, **settings)
        alone = await server.embedding.Embed(request)
        assert [r.WhichOneof("result") for r in answer.results] == [
            r.WhichOneof("result") for r in alone.results
        ]
        assert [r.word_vector for r in answer.results] == [r.word_vector for r in alone.results]
        assert (answer.model, answer.dimensions) == (alone.model, alone.dimensions)


async def test_options_of_the_first_request_hold_for_all(server: RunningServer) -> None:
    options = pb.SearchOptions(k=1, excluded_words=["cats"], max_rank=4)
    requests = [nearest("cat", options=options), nearest("cat", "dog"), nearest("unicorn")]
    first, second, third = await all_of(server.embedding.NearestStream(iter(requests)))
    expected = await server.embedding.Nearest(
        pb.NearestRequest(
            queries=[pb.NearestQuery(word="cat"), pb.NearestQuery(word="dog")], options=options
        )
    )
    assert list(first.results) == list(expected.results)[:1]
    assert list(second.results) == list(expected.results)
    assert third.results[0].error.code == Code.NOT_FOUND.value[0]


async def test_a_stream_of_nothing_is_answered_by_nothing(server: RunningServer) -> None:
    assert await all_of(server.embedding.EmbedStream(iter(()))) == []
    assert await all_of(server.embedding.NearestStream(iter(()))) == []


async def test_a_stream_keeps_the_version_that_it_began_with() -> None:
    vectors = WordVectors(Vocabulary(WORDS), MATRIX)
    ready = [ready_version("w", "word-vectors", vectors, version=number) for number in (1, 2, 3)]

    class Reloading:
        """Gives a newer version each time."""

        def select(self, *_: object) -> ModelVersion:
            return ready.pop(0)

    async def requests() -> AsyncIterator[pb.EmbedStreamRequest]:
        for word in ("cat", "dog", "cats"):
            yield embed(word)

    queue = WorkQueue("test", worker_threads=1, max_queued=1)
    repository: Any = Reloading()
    stream = embed_stream(requests(), repository, queue, Limits())
    assert [answer.batch.model.version async for answer in stream] == [1, 1, 1]
    queue.close()


@pytest.mark.parametrize(
    ("requests", "answered", "fields"),
    [
        ([embed()], 0, ["batch.words"]),
        ([pb.EmbedStreamRequest()], 0, ["batch.words"]),
        ([embed("cat"), embed()], 1, ["batch.words"]),
        ([embed("cat"), embed("dog"), embed("cat", normalize=True)], 2, ["batch.normalize"]),
        (
            [embed("cat"), embed("cat", model=ModelSelector(name="animals"),
                                 lookup=pb.WORD_LOOKUP_EXACT)],
            1,
            ["batch.model", "batch.lookup"],
        ),
        ([embed("cat"), embed(*["cat"] * 1_001)], 1, ["batch.words"]),
        ([embed("cat"), embed("cat", lookup=77)], 1, ["batch.lookup"]),
        ([embed("cat", model=ModelSelector(name="../etc"))], 0, ["batch.model.name"]),
        ([nearest("cat"), nearest()], 1, ["batch.queries"]),
        ([nearest("cat", options=pb.SearchOptions(k=0))], 0, ["batch.options.k"]),
        ([nearest("cat", options=pb.SearchOptions(max_rank=0))], 0, ["batch.options.max_rank"]),
        ([nearest("cat"), nearest("cat", options=pb.SearchOptions())], 1, ["batch.options"]),
    ],
)  # fmt: skip
async def test_a_wrong_request_ends_the_stream_after_the_answers_before_it(
    server: RunningServer, requests: list[Any], answered: int, fields: list[str]
) -> None:
    stub = server.embedding
    is_embed = isinstance(requests[0], pb.EmbedStreamRequest)
    call = (stub.EmbedStream if is_embed else stub.NearestStream)(iter(requests))
    for _ in range(answered):
        assert (await call.read()).HasField("batch")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    status = rich_status(caught.value)
    assert fields_of(status) == fields
    assert f"request {answered + 1} of the stream" in status.message


async def test_errors_of_items_are_named_from_the_request_of_the_stream(
    server: RunningServer,
) -> None:
    (embedded,) = await all_of(server.embedding.EmbedStream(iter([embed("cat", " ")])))
    assert fields_of(embedded.results[1].error) == ["batch.words[1]"]
    (searched,) = await all_of(server.embedding.NearestStream(iter([nearest("cat", "")])))
    assert fields_of(searched.results[1].error) == ["batch.queries[1].word"]


async def test_a_caller_that_does_not_read_is_not_worked_for(server_with: ServerFactory) -> None:
    """An answer of 800 kB fills the connection's window, so only a few are made ahead."""
    model = CountingVectors(np.tile(np.ones(200_000, np.float32), (len(WORDS), 1)))
    async with server_with(None, [ready_version("w", "word-vectors", model)]) as server:
        call = server.embedding.EmbedStream(embed("cat") for _ in range(50))
        await call.read()
        before = -1
        while model.asked != before:  # until it has come to rest
            before = model.asked
            await asyncio.sleep(0.5)
        assert model.asked < 40
        read = 1
        while await call.read() is not grpc.aio.EOF:
            read += 1
        assert read == model.asked == 50


async def test_a_caller_that_goes_away_stops_the_work_on_its_batch(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    model = CountingVectors(MATRIX)
    async with server_with(None, [ready_version("w", "word-vectors", model)]) as server:
        call = server.embedding.EmbedStream(embed(*["cat"] * 1_000) for _ in range(50))
        await call.read()
        model.may_go_on.clear()
        at = model.asked
        await wait_until(lambda: model.asked > at)
        call.cancel()
        await wait_until(lambda: server.parts.admission.in_flight == 0)
        held = model.asked
        model.may_go_on.set()
        await wait_until(lambda: server.parts.queues[0].running == 0)
        # Of the batch that was held, the second half of the words is not looked at any more.
        assert model.asked <= held
        assert await server.embedding.Embed(pb.EmbedRequest(words=["cat"]))


async def test_a_stream_that_was_let_in_waits_its_turn_and_a_new_one_is_refused(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    model = CountingVectors(MATRIX)
    settings = {"worker_threads": 1, "max_queued_calls": 0}
    async with server_with(settings, [ready_version("w", "word-vectors", model)]) as server:
        stream = server.embedding.EmbedStream()
        await stream.write(embed("cat"))
        assert (await stream.read()).batch.results[0].HasField("word_vector")
        model.may_go_on.clear()
        other = asyncio.ensure_future(_embedded(server, *["dog"] * 50))  # too many for the loop
        await wait_until(lambda: server.parts.queues[0].running == 1)
        await stream.write(embed("cats"))
        await wait_until(lambda: server.parts.queues[0].queued == 1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await all_of(server.embedding.EmbedStream(iter([embed("cat")])))
        assert caught.value.code() is Code.UNAVAILABLE
        model.may_go_on.set()
        assert (await stream.read()).batch.results[0].HasField("word_vector")
        await stream.done_writing()
        await other


async def _embedded(server: RunningServer, *words: str) -> pb.EmbedResponse:
    response: pb.EmbedResponse = await server.embedding.Embed(pb.EmbedRequest(words=words))
    return response


async def test_an_error_of_the_callers_requests_cancels_and_leaves_the_server_well(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    async def requests() -> Any:
        yield embed("cat")
        raise RuntimeError("the disk is gone")

    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError, RuntimeError)):
        await all_of(server.embedding.EmbedStream(requests()))
    await wait_until(lambda: server.parts.admission.in_flight == 0)
    assert (await _embedded(server, "cat")).results[0].HasField("word_vector")


async def test_each_answer_of_a_stream_renews_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    renewals: list[int] = []
    monkeypatch.setattr(call_deadline, "renew", lambda: renewals.append(1))
    version = ready_version("w", "word-vectors", WordVectors(Vocabulary(WORDS), MATRIX))

    async def requests() -> AsyncIterator[pb.EmbedStreamRequest]:
        for word in ("cat", "dog", "cats"):
            yield embed(word)

    queue = WorkQueue("test", worker_threads=1, max_queued=1)
    stream = embed_stream(requests(), ModelRepository([version]), queue, Limits())
    for count in range(3):
        await anext(stream)
        assert len(renewals) == count
    assert await anext(stream, None) is None
    assert len(renewals) == 3
    queue.close()
