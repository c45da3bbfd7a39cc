"""Scores and generated text, through both clients and the command."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2

from dragoman.v1 import decoding_pb2, model_pb2
from dragoman.v1 import language_model_service_pb2 as pb
from dragoman_client import (
    AsyncClient,
    Client,
    FinishReason,
    GenerationChunk,
    GenerationFinished,
    GenerationOptions,
    GenerationStarted,
    InvalidRequestError,
    LengthNormalization,
    TextScore,
    UnavailableError,
)
from dragoman_client.cli import command

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

MODEL = model_pb2.ModelVersion(name="books", version=2)
Generate = Callable[..., list[Any]]


@pytest.fixture
def books(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Scores a text by its length, refuses "bad", and continues every prompt with the same."""
    monkeypatch.setenv("DRAGOMAN_SERVER", server.address)

    def score(request: Any, _: Any) -> pb.LanguageModelServiceScoreResponse:
        response = pb.LanguageModelServiceScoreResponse(model=MODEL)
        for i, item in enumerate(request.texts):
            result = response.results.add()
            if item.text == "bad":
                message = f"texts[{i}].text: is bad; mend it"
                result.error.CopyFrom(status_pb2.Status(code=3, message=message))
                continue
            found = result.score
            found.log_prob, found.token_count = -float(len(item.text)), 1
            if item.text:
                found.perplexity = 2.5
            if request.return_tokens:
                token = found.tokens.add(token="t", log_prob=-1)  # noqa: S106 - of text
                token.span.end = 1
        return response

    def generate(request: Any, _: Any) -> Iterator[pb.GenerateResponse]:
        samples = request.options.sample_count or 1
        started = pb.GenerationStarted(model=MODEL, prompt_token_count=3, seed=2**64 - 1)
        yield pb.GenerateResponse(started=started)
        for text in (" there", " was\né"):
            for i in range(samples):
                yield pb.GenerateResponse(chunk=pb.GenerationChunk(sample_index=i, text=text))
        reason = decoding_pb2.FINISH_REASON_STOP_STRING
        for i in range(samples):
            end = pb.GenerationFinished(sample_index=i, finish_reason=reason, log_prob=-3)
            yield pb.GenerateResponse(finished=end)

    server.answers["ScoreTexts"] = score
    server.answers["Generate"] = generate  # type: ignore[assignment]
    return server


def _generate(address: str, *arguments: Any, **options: Any) -> list[Any]:
    with Client(address) as client:
        return list(client.generate(*arguments, **options))


def _generate_async(address: str, *arguments: Any, **options: Any) -> list[Any]:
    async def events() -> list[Any]:
        async with AsyncClient(address) as client:
            return [event async for event in client.generate(*arguments, **options)]

    return asyncio.run(events())


@pytest.fixture(params=[_generate, _generate_async], ids=["Client", "AsyncClient"])
def generate(request: pytest.FixtureRequest) -> Generate:
    made: Generate = request.param
    return made


def test_scores(books: FakeServer, call: Callable[..., Any]) -> None:
    score = call(books.address, "score_texts", "abc", contexts="x", model="books")
    assert (score.log_prob, score.perplexity, score.word_perplexity) == (-3.0, 2.5, None)
    assert books.requests[0].texts[0].context == "x"
    many = call(books.address, "score_texts", ["a", "bad", ""], return_tokens=True)
    assert isinstance(many[0], TextScore)
    assert (many[0].tokens[0].token, many[0].tokens[0].end) == ("t", 1)
    assert isinstance(many[1], InvalidRequestError)
    assert many[2].perplexity is None
    assert many[2].model.version == 2


def test_contexts_must_be_one_for_each_text(books: FakeServer, call: Callable[..., Any]) -> None:
    with pytest.raises(InvalidRequestError, match="1 contexts for 2"):
        call(books.address, "score_texts", ["a", "b"], contexts=["x"])


def test_a_generation_is_a_stream_of_events(books: FakeServer, generate: Generate) -> None:
    started, first, second, end = generate(books.address, "Once", model="books")
    assert isinstance(started, GenerationStarted)
    assert (started.model.name, started.seed) == ("books", 2**64 - 1)
    assert isinstance(first, GenerationChunk)
    assert first.text + second.text == " there was\né"
    assert isinstance(end, GenerationFinished)
    assert (end.finish_reason, end.score) == (FinishReason.STOP_STRING, None)


def test_options_reach_the_server(books: FakeServer, generate: Generate) -> None:
    generate(books.address, "a", options=GenerationOptions(
        temperature=0.5, top_k=3, seed=2**64 - 1, stop_strings=("b",), max_tokens=9))  # fmt: skip
    sent = books.requests[-1].options
    assert (sent.sampling.temperature, sent.sampling.top_k) == (0.5, 3)
    assert (sent.sampling.seed, list(sent.stop_strings), sent.max_tokens) == (2**64 - 1, ["b"], 9)
    assert not sent.sampling.HasField("top_p")
    generate(books.address, "a", options=GenerationOptions(
        beam_width=3, length_normalization=LengthNormalization.AVERAGE))  # fmt: skip
    sent = books.requests[-1].options
    assert sent.WhichOneof("strategy") == "beam_search"
    assert sent.beam_search.length_normalization == decoding_pb2.LENGTH_NORMALIZATION_AVERAGE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GenerationOptions(seed=-1), "18,446,744,073,709,551,615"),
        (GenerationOptions(top_k=2**32), "4,294,967,295"),
        (GenerationOptions(seed=1, beam_width=2), "seed: is for sampling, beam_width for beam"),
        (GenerationOptions(stop_strings=("\ud800",)), r"stop_strings\[0\]: character 1 is a lone"),
    ],
)
def test_what_no_message_can_hold_is_refused_here(
    books: FakeServer, generate: Generate, options: GenerationOptions, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        generate(books.address, "a", options=options)
    assert not books.requests


def test_errors_of_the_stream_are_the_clients(books: FakeServer, generate: Generate) -> None:
    def full(_: Any, context: grpc.ServicerContext) -> Any:
        yield pb.GenerateResponse(started=pb.GenerationStarted(model=MODEL))
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    books.answers["Generate"] = full
    with pytest.raises(UnavailableError, match="stopping"):
        generate(books.address, "a")


def test_closing_the_generator_cancels_the_call(books: FakeServer) -> None:
    cancelled = threading.Event()

    def endless(_: Any, context: grpc.ServicerContext) -> Any:
        context.add_callback(cancelled.set)
        while context.is_active():
            yield pb.GenerateResponse(chunk=pb.GenerationChunk(text="a"))

    books.answers["Generate"] = endless
    with Client(books.address) as client:
        events = client.generate("a")
        next(events)
        events.close()
        assert cancelled.wait(20)


def test_score_prints_a_table(books: FakeServer, dragoman: Any, tmp_path: Any) -> None:
    path = tmp_path / "text.txt"
    path.write_text("one\nbad\n\nlast", encoding="utf-8")
    done = dragoman("score", str(path))
    assert done.code == 1
    assert done.err == "dragoman: line 2: texts[1].text: is bad; mend it\n"
    assert done.out.split("\n") == [
        "log_prob\tperplexity\tword_perplexity\tbits_per_character\ttext",
        "-3.0000\t2.5000\t-\t-\tone",
        "-\t-\t-\t-\tbad",
        "0.0000\t-\t-\t-\t",
        "-4.0000\t2.5000\t-\t-\tlast",
        "",
    ]


def test_score_prints_json(books: FakeServer, dragoman: Any, tmp_path: Any) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ő\nbad\n", encoding="utf-8")
    rows = [
        json.loads(row)
        for row in dragoman("score", str(path), "--json", "--tokens").out.splitlines()
    ]
    assert (rows[0]["text"], rows[0]["log_prob"], rows[0]["model"]) == ("ő", -1.0, "books")
    assert rows[0]["tokens"] == [{"token": "t", "log_prob": -1.0, "start": 0, "end": 1}]
    assert rows[1]["error"]["code"] == "INVALID_ARGUMENT"
    assert dragoman("score", str(path), "--tokens").code == 2
    assert dragoman("score", str(tmp_path / "none")).code == 1


def test_generate_streams_text(books: FakeServer, dragoman: Any) -> None:
    done = dragoman("generate", "Once", "-t", "0.5", "--stop", "x", "--stop", "y", "-n", "7")
    assert (done.code, done.out) == (0, " there was\né\n")
    sent = books.requests[-1]
    assert (sent.prompt, list(sent.options.stop_strings)) == ("Once", ["x", "y"])


def test_generate_prints_samples_on_lines(books: FakeServer, dragoman: Any) -> None:
    done = dragoman("generate", "Once", "--samples", "2")
    assert done.out == "1\t there was é\n2\t there was é\n"
    rows = [json.loads(row) for row in
            dragoman("generate", "Once", "--samples", "2", "--json").out.splitlines()]  # fmt: skip
    assert [row["sample"] for row in rows] == [1, 2]
    assert rows[0]["text"] == " there was\né"
    assert (rows[0]["finish_reason"], rows[0]["seed"]) == ("stop_string", 2**64 - 1)


def test_interrupted_generation_ends_with_130(
    books: FakeServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()

    def endless(_: Any, context: grpc.ServicerContext) -> Any:
        context.add_callback(ended.set)
        while context.is_active():
            yield pb.GenerateResponse(chunk=pb.GenerationChunk(text="a"))

    books.answers["Generate"] = endless

    def interrupted(events: Iterator[Any]) -> None:
        next(events)
        raise KeyboardInterrupt

    module = sys.modules["dragoman_client.cli.generate"]  # the package's name is the function's
    monkeypatch.setattr(module, "_print_stream", interrupted)
    with pytest.raises(SystemExit) as exit_code:
        command()(["generate", "Once"], prog_name="dragoman")
    assert exit_code.value.code == 130
    assert "Traceback" not in capfd.readouterr().err
    assert ended.wait(20)
