"""Calls that share batches through the whole server, with a real translator too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import torch
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.server.conftest import ready_version

from dragoman.v1 import embedding_service_pb2 as embedding_pb
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

Code = grpc.StatusCode
WORDS = [f"{first}{vowel}n" for first in "bcdfglmprst" for vowel in "aeiou"]
TEXTS = [" ".join(WORDS[i : i + 1 + i % 6]) for i in range(0, 45, 3)]


class HeldTranslator:
    """A real translator that a test can hold, and that keeps what its batches were."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.batches: list[int] = []
        self.asked = 0
        self.on_step: Callable[[int], None] = lambda _: None
        self.source_tokens = translator.source_tokens

    def translate(self, sources: Any, options: Any, *, cancelled: Any, **rules: Any) -> Any:
        self.batches.append(len(sources))

        def asked(index: int) -> bool:
            self.asked += 1
            self.on_step(self.asked)
            return bool(cancelled(index))

        return self.translator.translate(sources, options, cancelled=asked, **rules)


@pytest.fixture(scope="module")
def translator() -> Translator:
    torch.manual_seed(5)
    tokenizer = train_tokenizer(
        [" ".join(WORDS[i : i + 6]) for i in range(50)], vocabulary_size=300
    )
    config = NetworkConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        embedding_size=16,
        encoder_size=16,
        decoder_size=32,
    )
    network = TranslationNetwork(config)
    return Translator(network, tokenizer, source_language="fr", target_language="en")


def request(*texts: str, **options: Any) -> pb.TranslateRequest:
    sources = [pb.TranslationSource(text=text) for text in texts]
    return pb.TranslateRequest(sources=sources, options=pb.TranslationOptions(**options))


def texts_of(response: pb.TranslateResponse) -> list[str]:
    return [result.translation.hypotheses[0].text for result in response.results]


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_sharing_a_batch_and_others_leaving_it_changes_no_answer(
    server_with: ServerFactory, translator: Translator, wait_until: Callable[..., Any]
) -> None:
    options = TranslationOptions(beam_width=3, max_length=12)
    alone = [translator.translate([text], options)[0][0] for text in TEXTS]
    held = HeldTranslator(translator)
    versions = [ready_version("babel", "translation", held)]
    async with server_with(
        {"worker_threads": 1, "workers": {"translation": 0, "language_model": 0}}, versions
    ) as server:
        translate = server.translation.Translate
        gone = translate(request(*TEXTS[:3], beam_width=3, max_length=12))
        waiting = asyncio.ensure_future(gone)

        loop = asyncio.get_running_loop()

        def leave(step: int) -> None:
            if step == 3 * 2:  # in the middle of the batch that its three texts are in
                loop.call_soon_threadsafe(gone.cancel)
                until = time.monotonic() + 60
                while not waiting.done() and time.monotonic() < until:
                    time.sleep(0.001)

        held.on_step = leave
        calls = [translate(request(text, beam_width=3, max_length=12)) for text in TEXTS]
        answers = await asyncio.gather(*calls)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await wait_until(lambda: server.parts.queues[0].running == 0)
    assert max(held.batches) > 1
    for answer, expected in zip(answers, alone, strict=True):
        (found,) = answer.results[0].translation.hypotheses
        assert found.text == expected.text
        assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-4)


async def test_calls_with_other_options_have_batches_of_their_own(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    async with server_with(
        {"worker_threads": 1, "workers": {"translation": 0, "language_model": 0}}
    ) as server:
        server.translator.may_go_on.clear()
        first = asyncio.ensure_future(server.translation.Translate(request("held")))
        await wait_until(lambda: len(server.translator.calls) == 1)
        calls = [
            asyncio.ensure_future(server.translation.Translate(request(text, beam_width=width)))
            for text, width in (("a b", 2), ("c d", 2), ("e f", 3), ("g h", 2))
        ]
        await wait_until(lambda: server.parts.queues[0].queued == 4)
        server.translator.may_go_on.set()
        answers = [texts_of(one) for one in await asyncio.gather(*calls)]
        await first
    assert answers == [["b a"], ["d c"], ["f e"], ["h g"]]
    assert sorted(map(sorted, server.translator.calls[1:])) == [["a b", "c d", "g h"], ["e f"]]


async def test_errors_in_a_shared_batch_name_the_place_in_their_own_request(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    async with server_with(
        {"worker_threads": 1, "workers": {"translation": 0, "language_model": 0}}
    ) as server:
        server.translator.may_go_on.clear()
        first = asyncio.ensure_future(server.translation.Translate(request("held")))
        await wait_until(lambda: len(server.translator.calls) == 1)
        one = asyncio.ensure_future(server.translation.Translate(request("a", "unspeakable")))
        two = asyncio.ensure_future(server.translation.Translate(request(" ", "b", "c")))
        await wait_until(lambda: server.parts.queues[0].queued == 2)
        server.translator.may_go_on.set()
        results = [*(await one).results, *(await two).results]
        await first
    paths = []
    for result in results:
        bad = error_details_pb2.BadRequest()
        named = [detail.Unpack(bad) for detail in result.error.details]
        paths.append(bad.field_violations[0].field if any(named) else "")
    assert paths == ["", "sources[1].text", "sources[0].text", "", ""]


async def test_a_client_over_its_quota_is_told_which_and_when(server_with: ServerFactory) -> None:
    quotas = {"tokens_per_second": 1.0, "burst_seconds": 60.0}
    async with server_with({"quotas": quotas}) as server:
        await server.translation.Translate(request("a b c d e f g h", beam_width=8))
        error = await failure(server.translation.Translate(request("a b c d e f", beam_width=8)))
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert int(dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"]) > 0
    call: Any = error  # it is one, whatever grpc's types say
    status = rpc_status.from_call(call)
    kinds = {detail.TypeName() for detail in status.details}
    assert kinds == {"google.rpc.QuotaFailure", "google.rpc.RetryInfo"}
    failed = error_details_pb2.QuotaFailure()
    assert status.details[0].Unpack(failed)
    assert failed.violations[0].subject.startswith("client ipv")


async def test_beams_and_texts_are_held_to_the_limits(server_with: ServerFactory) -> None:
    async with server_with({"limits": {"beam_width": 4, "source_tokens": 5}}) as server:
        error = await failure(server.translation.Translate(request("a", beam_width=5)))
        assert error.code() is Code.INVALID_ARGUMENT
        assert "options.beam_width" in (error.details() or "")
        answer = await server.translation.Translate(request("a b c d", "a b c d e", beam_width=4))
        assert [result.HasField("error") for result in answer.results] == [False, True]
        pair = pb.TranslationPair(source="a", target="a b c d e")
        scored = await server.translation.ScoreTarget(pb.ScoreTargetRequest(pairs=[pair]))
        assert "5" in scored.results[0].error.message


async def test_each_call_gets_suggestions_of_its_own(server: RunningServer) -> None:
    """A stranger's many unknown words in the same batch take none away."""
    query = embedding_pb.NearestQuery
    many = embedding_pb.NearestRequest(queries=[query(word=f"catx{n}") for n in range(30)])
    one = embedding_pb.NearestRequest(queries=[query(word="catz")])
    _, answer = await asyncio.gather(server.embedding.Nearest(many), server.embedding.Nearest(one))
    names = {detail.TypeName() for detail in answer.results[0].error.details}
    assert "dragoman.v1.SpellingSuggestions" in names
