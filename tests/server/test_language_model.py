"""LanguageModelService: the model's own answers in the API's words, streams that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import torch
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from dragoman.v1 import decoding_pb2, language_model_service_pb2_grpc
from dragoman.v1 import language_model_service_pb2 as pb
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.text_scores import TextToScore
from dragoman_models.language_model.text_vocabulary import count_vocabulary
from dragoman_server.model_version import ModelState, ModelVersion

if TYPE_CHECKING:
    from tests.server.conftest import ServerFactory

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    """Characters, with random weights."""
    vocabulary = count_vocabulary(["the old man and the sea, 日本"] * 3, "characters", most=100)
    torch.manual_seed(1)
    config = NetworkConfig(vocabulary_size=vocabulary.size, embedding_size=8, hidden_size=9)
    network = LanguageModelNetwork(config)
    torch.nn.init.normal_(network.embedding)
    return LanguageModel(network, vocabulary, language="en")


@pytest.fixture
def version(model: LanguageModel, tmp_path: Any) -> ModelVersion:
    return ModelVersion(
        name="tiny", version=3, path=tmp_path, size_bytes=1, config={"family": "language_model"},
        state=ModelState.READY, model=model,
    )  # fmt: skip


@pytest.fixture
async def stub(server_with: ServerFactory, version: ModelVersion) -> AsyncIterator[Any]:
    """A server that draws at most 40 continuations at once and reads at most 500 characters."""
    limits = {"samples": 40, "text_characters": 500}
    async with server_with({"limits": limits}, [version]) as server:
        yield language_model_service_pb2_grpc.LanguageModelServiceStub(server.channel)


def generation(prompt: str = "the", seed: int | None = 7, **options: Any) -> pb.GenerateRequest:
    sampling = options.pop("sampling", decoding_pb2.SamplingOptions(seed=seed))
    given = {} if "beam_search" in options else {"sampling": sampling}
    return pb.GenerateRequest(prompt=prompt, options=pb.GenerationOptions(**given, **options))


async def events(stub: Any, request: pb.GenerateRequest) -> list[pb.GenerateResponse]:
    return [event async for event in stub.Generate(request, timeout=30)]


def text_of(found: list[pb.GenerateResponse], sample: int = 0) -> str:
    return "".join(
        e.chunk.text for e in found if e.HasField("chunk") and e.chunk.sample_index == sample
    )


async def refused_fields(call: Any) -> set[str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is Code.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    details = error_details_pb2.BadRequest()
    assert status is not None
    assert status.details[0].Unpack(details)
    return {violation.field for violation in details.field_violations}


async def test_scores_are_the_models(stub: Any, model: LanguageModel) -> None:
    items = [pb.TextToScore(text="the sea"), pb.TextToScore(text=" 日x", context="old"),
             pb.TextToScore()]  # fmt: skip
    answer = await stub.Score(pb.LanguageModelServiceScoreRequest(texts=items, return_tokens=True))
    assert (answer.model.name, answer.model.version) == ("tiny", 3)
    expected = model.score([TextToScore(text=i.text, context=i.context) for i in items])
    for result, score in zip(answer.results, expected, strict=True):
        found = result.score
        assert found.log_prob == pytest.approx(score.log_prob)
        assert found.token_count == len(score.tokens) == len(found.tokens)
        assert found.unknown_token_count == score.unknown_tokens
        assert found.HasField("word_perplexity") == (score.words > 0)
        assert found.HasField("bits_per_character") == (score.characters > 0)
        for token, one in zip(found.tokens, score.tokens, strict=True):
            assert (token.token, token.span.start, token.span.end) == (
                one.token,
                one.begin,
                one.end,
            )
    assert answer.results[2].score.perplexity > 1
    plain = await stub.Score(
        pb.LanguageModelServiceScoreRequest(texts=items[2:], exclude_end_of_text=True)
    )
    assert not plain.results[0].score.HasField("perplexity")
    assert not plain.results[0].score.tokens


async def test_a_text_that_is_too_long_fails_alone(stub: Any) -> None:
    items = [pb.TextToScore(text="a"), pb.TextToScore(text="a" * 501),
             pb.TextToScore(context="a" * 501)]  # fmt: skip
    answer = await stub.Score(pb.LanguageModelServiceScoreRequest(texts=items))
    assert answer.results[0].HasField("score")
    assert answer.results[1].error.message.startswith("texts[1].text: has 501 characters")
    assert answer.results[2].error.message.startswith("texts[2].context: has 501 characters")
    request = pb.LanguageModelServiceScoreRequest()
    assert await refused_fields(stub.Score(request)) == {"texts"}


async def test_a_stream_starts_brings_text_and_finishes(stub: Any, model: LanguageModel) -> None:
    found = await events(stub, generation("old man", max_tokens=20, min_tokens=20,
                                          return_tokens=True, sample_count=2))  # fmt: skip
    assert found[0].started.model.name == "tiny"
    assert (found[0].started.prompt_token_count, found[0].started.seed) == (7, 7)
    for sample in range(2):
        chunks = [e.chunk for e in found if e.HasField("chunk") and e.chunk.sample_index == sample]
        assert [len(chunk.tokens) for chunk in chunks] == [1] * 20
        (end,) = [
            e.finished
            for e in found
            if e.HasField("finished") and e.finished.sample_index == sample
        ]
        assert (end.token_count, end.finish_reason) == (20, decoding_pb2.FINISH_REASON_MAX_LENGTH)
        total = sum(chunk.token_log_probs[0] for chunk in chunks)
        assert end.log_prob == pytest.approx(total, abs=1e-3)
        score = model.score(
            [TextToScore(text=text_of(found, sample), context="old man")], exclude_end=True
        )[0]
        assert score.log_prob == pytest.approx(total, abs=1e-2)
    assert text_of(found, 0) != text_of(found, 1)


async def test_a_drawn_seed_draws_the_same_again(stub: Any) -> None:
    first = await events(stub, generation(seed=None, sampling=decoding_pb2.SamplingOptions()))
    seed = first[0].started.seed
    again = await events(stub, generation(seed=seed))
    assert text_of(first) == text_of(again)
    assert len({(await events(stub, generation(seed=s)))[1].chunk.text for s in range(12)}) > 1


async def test_concurrent_streams_are_each_as_if_alone(stub: Any) -> None:
    requests = [generation("the old"[: 1 + i % 7], seed=i, max_tokens=25) for i in range(32)]
    together = await asyncio.gather(*(events(stub, request) for request in requests))
    for request, found in zip(requests, together, strict=True):
        assert text_of(found) == text_of(await events(stub, request))


async def test_stop_strings(stub: Any) -> None:
    whole = text_of(await events(stub, generation(max_tokens=60, min_tokens=60)))
    stop = whole[20:22]
    found = await events(stub, generation(max_tokens=60, min_tokens=60, stop_strings=[stop]))
    assert text_of(found) == whole[: whole.index(stop)]
    assert found[-1].finished.finish_reason == decoding_pb2.FINISH_REASON_STOP_STRING


async def test_a_cancelled_stream_gives_its_place_back(stub: Any) -> None:
    endless = generation(max_tokens=10_000, min_tokens=10_000, sample_count=40)
    call = stub.Generate(endless)
    await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await events(stub, generation())
    assert caught.value.code() is Code.UNAVAILABLE
    assert "at most 40 continuations" in (caught.value.details() or "")
    call.cancel()
    async with asyncio.timeout(20):
        while await code_of(events(stub, generation())) is Code.UNAVAILABLE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await events(stub, generation()))[-1].HasField("finished")


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


async def test_beam_search_brings_whole_texts_best_first(stub: Any) -> None:
    beam = decoding_pb2.BeamSearchOptions(beam_width=4, n_best=3)
    found = await events(stub, generation(beam_search=beam, max_tokens=8, return_tokens=True))
    assert not found[0].started.HasField("seed")
    ends = [e.finished for e in found if e.HasField("finished")]
    scores = [end.score for end in ends]
    assert len(scores) > 1
    assert scores == sorted(scores, reverse=True)
    assert [e.chunk.sample_index for e in found if e.HasField("chunk")] == list(range(len(ends)))


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"sampling": decoding_pb2.SamplingOptions(top_p=0, temperature=-1)},
         {"options.sampling.top_p", "options.sampling.temperature"}),
        ({"max_tokens": 0}, {"options.max_tokens"}),
        ({"sample_count": 65}, {"options.sample_count"}),
        ({"stop_strings": [""]}, {"options.stop_strings[0]"}),
        ({"beam_search": decoding_pb2.BeamSearchOptions(beam_width=65), "min_tokens": 1},
         {"options.beam_search.beam_width", "options.min_tokens"}),
        ({"beam_search": decoding_pb2.BeamSearchOptions(), "sample_count": 2,
          "stop_strings": ["a"]}, {"options.sample_count", "options.stop_strings"}),
        ({"prompt": "a" * 501}, {"prompt"}),
    ],
)  # fmt: skip
async def test_wrong_options_are_refused_by_their_paths(
    stub: Any, options: dict[str, Any], fields: set[str]
) -> None:
    call = stub.Generate(generation(**options))
    assert await refused_fields(call.read()) == fields


async def test_a_model_that_breaks_ends_the_stream_and_the_next_one_draws(
    stub: Any, model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def broken(*_: Any) -> Any:
            raise RuntimeError("the network is broken")

        patch.setattr(model.network, "step", broken)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await events(stub, generation())
        assert caught.value.code() is Code.INTERNAL
        assert "broken" not in (caught.value.details() or "")
    assert (await events(stub, generation()))[-1].HasField("finished")
