"""TranslateStream: every item answered once, errors in their items, back-pressure, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.server.test_services import fields_of, rich_status

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1.model_pb2 import ModelSelector
from dragoman_client import AsyncClient, Client, StreamSummary, Translation, TranslationOptions

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer

Code = grpc.StatusCode


def config(**options: Any) -> pb.TranslateStreamRequest:
    return pb.TranslateStreamRequest(
        config=pb.TranslateStreamConfig(options=pb.TranslationOptions(**options))
    )


def item(text: str, item_id: str = "") -> pb.TranslateStreamRequest:
    source = pb.TranslationSource(text=text)
    return pb.TranslateStreamRequest(item=pb.TranslateStreamItem(id=item_id, source=source))


async def test_every_item_is_answered_and_the_summary_counts_them(server: RunningServer) -> None:
    server.translator.seconds_a_step = 0.02  # so that items arrive while others are worked on
    texts = [f"a {number}" if number % 10 else " " for number in range(300)]
    requests = [config(), *(item(text, str(number)) for number, text in enumerate(texts))]
    responses = [one async for one in server.translation.TranslateStream(iter(requests))]
    summary = responses.pop().summary
    found = {one.item_result.id: one.item_result.result for one in responses}
    assert len(responses) == len(found) == len(texts)
    for number, text in enumerate(texts):
        result = found[str(number)]
        if text == " ":
            assert fields_of(result.error) == ["item.source.text"]
        else:
            assert result.translation.hypotheses[0].text == f"{number} a"
    assert (summary.model.name, summary.item_count, summary.error_count) == ("backwards", 300, 30)
    assert summary.source_token_count == summary.target_token_count == 270 * 3
    assert len(server.translator.calls) < 100  # what has arrived is translated together


async def test_a_stream_of_no_items_has_a_summary(server: RunningServer) -> None:
    (only,) = [one async for one in server.translation.TranslateStream(iter([config()]))]
    assert only.summary.item_count == 0


@pytest.mark.parametrize(
    ("requests", "fields"),
    [
        ([], ["config"]),
        ([item("a")], ["config"]),
        ([pb.TranslateStreamRequest()], ["config"]),
        ([config(beam_width=0)], ["config.options.beam_width"]),
        ([config(), item("a"), config()], ["item"]),
        ([config(), item("a"), pb.TranslateStreamRequest()], ["item"]),
        (
            [pb.TranslateStreamRequest(
                config=pb.TranslateStreamConfig(model=ModelSelector(name="../etc")))],
            ["config.model.name"],
        ),
    ],
)  # fmt: skip
async def test_a_wrong_message_ends_the_stream_after_the_answers_before_it(
    server: RunningServer, requests: list[Any], fields: list[str]
) -> None:
    call = server.translation.TranslateStream(iter(requests))
    for _ in range(sum(one.HasField("item") for one in requests[1:])):
        answered = (await call.read()).item_result.result
        assert answered.translation.hypotheses[0].text == "a"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert fields_of(rich_status(caught.value)) == fields


async def test_an_id_that_is_too_long_is_refused_in_its_item(server: RunningServer) -> None:
    requests = [config(), item("a b", "x" * 129), item("a b", "y" * 128)]
    long, good, _ = [one async for one in server.translation.TranslateStream(iter(requests))]
    assert fields_of(long.item_result.result.error) == ["item.id"]
    assert good.item_result.result.HasField("translation")


async def test_no_more_is_read_than_two_batches_while_the_model_is_busy(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    """Items too large for gRPC's own buffers, so that the sender feels that reading has stopped."""
    sent: list[int] = []

    async def requests() -> Any:
        yield config()
        for number in range(4_000):
            sent.append(number)
            yield item("word " * 1_900)

    server.translator.may_go_on.clear()
    call = server.translation.TranslateStream(requests())
    reading = asyncio.ensure_future(call.read())
    before = -1
    while len(sent) != before:  # until it has come to rest
        before = len(sent)
        await asyncio.sleep(0.5)
    assert len(sent) < 2_000  # and some megabytes in the buffers of the connection
    server.translator.may_go_on.set()
    await reading
    call.cancel()
    await wait_until(lambda: server.parts.admission.in_flight == 0)


async def test_a_caller_that_goes_away_stops_the_work(
    server: RunningServer, wait_until: Callable[..., Any]
) -> None:
    server.translator.steps_a_call = 1_000_000
    server.translator.seconds_a_step = 0.001
    requests = [config(), *(item("a") for _ in range(500))]
    call = server.translation.TranslateStream(iter(requests))
    reading = asyncio.ensure_future(call.read())
    await wait_until(lambda: server.translator.steps > 2)
    call.cancel()
    await wait_until(lambda: server.parts.queues[1].running == 0)
    await wait_until(lambda: server.parts.admission.in_flight == 0)
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_both_clients_stream_in_order_and_say_what_failed(server: RunningServer) -> None:
    texts = [f"a {number}" for number in range(700)]
    texts[5] = ""
    summaries: list[StreamSummary] = []

    def synchronous() -> list[Any]:
        with Client(server.address) as client:
            found = client.translate_stream(
                iter(texts), required_phrases=["a"], on_summary=summaries.append
            )
            return list(found)

    async def each() -> Any:
        for text in texts:
            yield text

    async with AsyncClient(server.address) as client:
        stream = client.translate_stream(
            each(), required_phrases=["a"], on_summary=summaries.append
        )
        asynchronous = [one async for one in stream]
    for found in (asynchronous, await asyncio.to_thread(synchronous)):
        assert [one.text if isinstance(one, Translation) else "" for one in found] == [
            f"{number} a" if number != 5 else "" for number in range(700)
        ]
        assert "text: is empty or blank" in str(found[5])
    assert [(one.item_count, one.error_count) for one in summaries] == [(700, 1), (700, 1)]
    assert server.translator.required == [("a",)] * (2 * 699)


async def test_what_the_callers_own_iterator_raises_is_raised(server: RunningServer) -> None:
    def texts() -> Iterator[str]:
        yield "a b"
        raise OSError("the disk is gone")

    def run() -> None:
        with Client(server.address) as client:
            list(client.translate_stream(texts(), options=TranslationOptions(beam_width=1)))

    with pytest.raises(OSError, match="the disk is gone"):
        await asyncio.to_thread(run)
