"""`dragoman similarity`, `nearest`, `analogy` and `models`, and what is common to all commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import status_pb2

from dragoman.v1 import embedding_service_pb2, model_pb2
from dragoman.v1.embedding_service_pb2 import AnalogyResponse, NearestResponse, SimilarityResponse
from dragoman.v1.model_service_pb2 import (
    GetModelResponse,
    ListModelsResponse,
    LoadModelResponse,
    UnloadModelResponse,
)

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Command = Callable[..., Any]
EXACT = embedding_service_pb2.WORD_MATCH_EXACT
IGNORING_CASE = embedding_service_pb2.WORD_MATCH_IGNORING_CASE


def neighbors(*words: str, match: Any = EXACT) -> embedding_service_pb2.Neighbors:
    found = embedding_service_pb2.Neighbors()
    found.query_words.add(word="king", match=match, rank=3)
    for rank, word in enumerate(words, start=1):
        found.neighbors.add(word=word, score=1 / 2**rank, rank=rank)
    return found


@pytest.fixture
def words(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A server that knows a few words, found by DRAGOMAN_SERVER."""
    monkeypatch.setenv("DRAGOMAN_SERVER", server.address)
    similarity = SimilarityResponse(model=model_pb2.ModelVersion(name="glove", version=1))
    result = similarity.results.add().similarity
    result.cosine = 0.75
    result.first.word, result.first.match = "king", EXACT
    result.second.word, result.second.match = "queen", IGNORING_CASE
    server.always("Similarity", similarity)
    nearest = NearestResponse(model=model_pb2.ModelVersion(name="glove", version=1))
    nearest.results.add().neighbors.CopyFrom(neighbors("prince", "Żółć"))
    server.always("Nearest", nearest)
    analogy = AnalogyResponse(model=model_pb2.ModelVersion(name="glove", version=1))
    analogy.results.add().answers.CopyFrom(neighbors("queen"))
    server.always("Analogy", analogy)
    return server


def test_similarity_prints_the_cosine(words: FakeServer, dragoman: Command) -> None:
    done = dragoman("similarity", "king", "Queen")
    assert (done.code, done.out) == (0, "0.7500\n")
    assert done.err == "dragoman: 'Queen' is not in the vocabulary; took 'queen'\n"


def test_nearest_prints_words_and_scores(words: FakeServer, dragoman: Command) -> None:
    done = dragoman("nearest", "king", "-k", "2", "--model", "glove/1")
    assert (done.code, done.out, done.err) == (0, "prince\t0.5000\nŻółć\t0.2500\n", "")
    (request,) = words.requests
    assert (request.options.k, request.model.name, request.model.version) == (2, "glove", 1)


def test_analogy_prints_the_answer(words: FakeServer, dragoman: Command) -> None:
    done = dragoman("analogy", "man", "king", "woman")
    assert (done.code, done.out, done.err) == (0, "queen\t0.5000\n", "")


def test_json_is_one_object_a_line_in_plain_unicode(words: FakeServer, dragoman: Command) -> None:
    similarity = json.loads(dragoman("similarity", "king", "Queen", "--json").out)
    assert similarity["cosine"] == 0.75
    assert similarity["words"][1] == {"word": "queen", "match": "ignoring_case", "rank": 0}
    assert (similarity["model"], similarity["version"]) == ("glove", 1)
    out = dragoman("nearest", "king", "--json").out
    assert "Żółć" in out
    assert out.count("\n") == 1
    assert json.loads(out)["neighbors"][0] == {"word": "prince", "score": 0.5, "rank": 1}
    assert json.loads(dragoman("analogy", "a", "b", "c", "--json").out)["neighbors"]


def test_an_error_of_the_server_is_exit_code_1(server: FakeServer, dragoman: Command) -> None:
    server.fail("Similarity", status_pb2.Status(code=5, message="no model is named 'x'"))
    done = dragoman("similarity", "a", "b", "--server", server.address)
    assert (done.code, done.out, done.err) == (1, "", "dragoman: no model is named 'x'\n")


def test_a_fault_of_the_server_names_the_request(server: FakeServer, dragoman: Command) -> None:
    def fail(_: Any, context: Any) -> SimilarityResponse:
        context.set_trailing_metadata((("x-request-id", "r-42"),))
        raise RuntimeError

    server.answers["Similarity"] = fail
    done = dragoman("similarity", "a", "b", "--server", server.address)
    assert done.code == 1
    assert done.err.rstrip().endswith("(request r-42)")


def test_a_server_that_is_not_there_is_exit_code_1_with_the_fix(
    server: FakeServer, dragoman: Command
) -> None:
    server.stop()
    done = dragoman("similarity", "a", "b", "--server", server.address)
    assert (done.code, done.out) == (1, "")
    assert f"cannot reach a Dragoman server at {server.address}" in done.err
    assert "dragoman serve" in done.err
    assert "--server" in done.err


def test_the_timeout_is_obeyed(server: FakeServer, dragoman: Command) -> None:
    answered = threading.Event()

    def answer_late(_: Any, __: Any) -> SimilarityResponse:
        answered.wait(timeout=30)
        return SimilarityResponse()

    server.answers["Similarity"] = answer_late
    done = dragoman("similarity", "a", "b", "--server", server.address, "--timeout", "0.1")
    answered.set()
    assert done.code == 1
    assert f"no answer from {server.address} within 0.1 s" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["similarity", "a"], "Missing argument 'B'"),
        (["nearest", "a", "-k", "many"], "Invalid value for '-k'"),
        (["nearest", "a", "--server", "http://x"], "'http://x' is not HOST:PORT"),
        (["nearest", "a", "--timeout", "0"], "timeout is 0.0; give a number above 0"),
        (["nearest", "a", "--model", "glove/new"], "'glove/new' is not NAME or NAME/VERSION"),
        (["translate", "a", "--file", "b"], "give texts or --file, not both"),
        (["translate", "a", "--length-normalization", "some"], "some"),
        (["fly"], "No such command 'fly'"),
        (["nearest", "a", "--fly"], "No such option: --fly"),
        (["train", "fly"], "No such command 'fly'"),
        (["evaluate", "--source", "a"], "Missing option '--reference'"),
    ],
)
def test_wrong_usage_is_exit_code_2(dragoman: Command, arguments: list[str], message: str) -> None:
    done = dragoman(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_negative_k_names_the_option(words: FakeServer, dragoman: Command) -> None:
    done = dragoman("nearest", "a", "-k", "-1")
    assert done.code == 1
    assert "options.k: is -1; give a whole number" in done.err


def test_models_are_listed_one_a_line(words: FakeServer, dragoman: Command) -> None:
    models = [
        model_pb2.ModelInfo(
            name="fr-en", version=2, family="translation", state=model_pb2.MODEL_STATE_READY,
            source_languages=["fr"], target_languages=["en"], size_bytes=13_960_000, current=True,
            aliases=["default-fr-en", "french"],
        ),
        model_pb2.ModelInfo(
            name="fr-en", version=1, family="translation", state=model_pb2.MODEL_STATE_READY,
            failure_reason="CARD.md is empty",
        ),
        model_pb2.ModelInfo(
            name="broken", version=1, state=model_pb2.MODEL_STATE_FAILED,
            failure_reason="SHA256SUMS: weights differ",
        ),
    ]  # fmt: skip
    words.always("ListModels", ListModelsResponse(models=models))
    done = dragoman("models")
    assert done.out.splitlines() == [
        "fr-en\t2\ttranslation\tready\tfr-en\t14.0\tyes\tdefault-fr-en,french",
        "fr-en\t1\ttranslation\tready: but its folder was refused: CARD.md is empty\t\t0.0\tno\t",
        "broken\t1\t\tfailed: SHA256SUMS: weights differ\t\t0.0\tno\t",
    ]
    first = json.loads(dragoman("models", "--json").out.splitlines()[0])
    assert (first["name"], first["state"], first["source_languages"]) == ("fr-en", "ready", ["fr"])


def test_the_card_of_a_model_is_printed(words: FakeServer, dragoman: Command) -> None:
    info = model_pb2.ModelInfo(name="fr-en", version=2)
    words.always("GetModel", GetModelResponse(model=info, card="# fr-en\n\nTatoeba.\n"))
    assert dragoman("models", "fr-en/2").out == "# fr-en\n\nTatoeba.\n"
    assert json.loads(dragoman("models", "fr-en", "--json").out)["card"].startswith("# fr-en")
    assert [request.model.version for request in words.requests] == [2, 0]


def test_models_are_loaded_and_unloaded(words: FakeServer, dragoman: Command) -> None:
    info = model_pb2.ModelInfo(
        name="fr-en", version=2, state=model_pb2.MODEL_STATE_READY, current=True, pinned=True
    )
    words.always("LoadModel", LoadModelResponse(model=info))
    words.always("UnloadModel", UnloadModelResponse(models=[info, info]))
    words.always("GetModel", GetModelResponse(model=info, card="card"))
    assert dragoman("models", "load", "fr-en/2", "--pin").out.split("\t")[6] == "pinned"
    assert dragoman("models", "load", "fr-en").code == 0
    assert len(dragoman("models", "unload", "fr-en", "--json").out.splitlines()) == 2
    assert dragoman("models", "show", "load").out == "card\n"  # a model of this name
    assert [(r.model.name, r.model.version) for r in words.requests] == [
        ("fr-en", 2), ("fr-en", 0), ("fr-en", 0), ("load", 0)
    ]  # fmt: skip
    assert [request.pin for request in words.requests[:2]] == [True, False]
    assert dragoman("models", "load").code == 2
    assert dragoman("models", "load", "fr-en/x").code == 2
    assert "unload" in dragoman("models", "--help").out


def test_help_and_version(dragoman: Command) -> None:
    assert dragoman("--version").out.startswith("dragoman 0.")
    for subcommand in ("serve", "translate", "similarity", "nearest", "analogy", "models",
                       "evaluate", "train"):  # fmt: skip
        assert subcommand in dragoman("--help").out
        assert dragoman(subcommand, "--help").code == 0
    assert "--resume" in dragoman("train", "translation", "--help").out


def asked(server: FakeServer) -> Any:
    (request,) = server.requests
    return request


def test_a_sum_of_words_is_searched_for(words: FakeServer, dragoman: Command) -> None:
    done = dragoman(
        "nearest", "--plus", "king", "--minus", "man", "--plus", "0.5*woman", "--minus", "2*2*x"
    )
    assert (done.code, done.out) == (0, "prince\t0.5000\nŻółć\t0.2500\n")
    (query,) = asked(words).queries
    assert [(term.word, term.weight) for term in query.weighted_words.words] == [
        ("king", 1.0), ("woman", 0.5), ("man", -1.0), ("2*x", -2.0)
    ]  # fmt: skip


@pytest.mark.parametrize("command", [["nearest", "king"], ["analogy", "man", "king", "woman"]])
def test_search_options_are_sent(words: FakeServer, dragoman: Command, command: list[str]) -> None:
    done = dragoman(
        *command, "-k", "7", "--exclude", "prince", "--exclude", "duke", "--max-rank", "5000",
        "--min-score", "-0.25", "--approximate", "--lookup", "exact",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    options = asked(words).options
    assert (options.k, options.max_rank, options.min_score) == (7, 5000, -0.25)
    assert list(options.excluded_words) == ["prince", "duke"]
    assert options.method == embedding_service_pb2.SEARCH_METHOD_APPROXIMATE
    assert options.lookup == embedding_service_pb2.WORD_LOOKUP_EXACT


@pytest.mark.parametrize(("name", "number"), [("3cosadd", 1), ("3cosmul", 2)])
def test_the_method_of_an_analogy_is_sent(
    words: FakeServer, dragoman: Command, name: str, number: int
) -> None:
    assert dragoman("analogy", "a", "b", "c", "--method", name).code == 0
    assert asked(words).method == number


@pytest.mark.parametrize(
    "arguments",
    [
        ["nearest"],
        ["nearest", "a", "--plus", "b"],
        ["nearest", "a", "--file", "b"],
        ["nearest", "--file", "a", "--minus", "b"],
        ["analogy", "a", "b", "c", "--method", "4cos"],
    ],
)
def test_contradicting_queries_are_wrong_usage(dragoman: Command, arguments: list[str]) -> None:
    done = dragoman(*arguments)
    assert (done.code, done.out) == (2, "")


@pytest.fixture
def lines(words: FakeServer) -> FakeServer:
    """A server that finds each word beside itself; "bad" is unknown, "full" ends the call."""

    def nearest(request: Any, context: Any) -> NearestResponse:
        response = NearestResponse(model=model_pb2.ModelVersion(name="glove", version=1))
        for query in request.queries:
            if query.word == "full":
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more today")
            result = response.results.add()
            if query.word == "bad":
                error = status_pb2.Status(code=5, message="unknown; did you mean 'bed'?")
                result.error.CopyFrom(error)
            else:
                result.neighbors.neighbors.add(word=f"{query.word}s", score=0.5, rank=1)
                result.neighbors.neighbors.add(word="other", score=0.25, rank=2)
        return response

    words.answers["Nearest"] = nearest
    return words


def test_a_file_gives_a_line_for_each_line(
    lines: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("cat\r\n\nbad\n東京\ndog", encoding="utf-8")
    done = dragoman("nearest", "--file", str(path), "-k", "2")
    assert done.code == 1
    assert done.out.split("\n") == [
        "cat\tcats 0.5000\tother 0.2500",
        "",
        "",
        "東京\t東京s 0.5000\tother 0.2500",
        "dog\tdogs 0.5000\tother 0.2500",
        "",
    ]
    assert done.err == "dragoman: line 3: unknown; did you mean 'bed'?\n"


def test_a_file_as_json_is_an_object_a_line(
    lines: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("cat\n\nbad\n", encoding="utf-8")
    done = dragoman("nearest", "--file", str(path), "--json")
    cat, blank, bad = map(json.loads, done.out.splitlines())
    assert (cat["line"], cat["query"], cat["neighbors"][0]["word"]) == (1, "cat", "cats")
    assert (cat["model"], cat["version"]) == ("glove", 1)
    assert (blank["line"], blank["neighbors"]) == (2, [])
    assert bad["error"]["code"] == "NOT_FOUND"


def test_a_long_file_is_sent_in_batches_and_a_failed_call_names_its_lines(
    lines: FakeServer, dragoman: Command, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("cat\n" * 200, encoding="utf-8")
    done = dragoman("nearest", "--file", str(path))
    assert (done.code, done.out.count("\n")) == (0, 200)
    assert max(len(request.queries) for request in lines.requests) <= 64
    path.write_text("cat\n" * 70 + "full\n", encoding="utf-8")
    done = dragoman("nearest", "--file", str(path))
    assert (done.code, done.out.count("\n")) == (1, 64)
    assert "lines 65 to 71: no more today" in done.err


@pytest.mark.parametrize("data", [b"cat\n\xff\n", b"x" * 1_100_000])
def test_a_file_that_is_no_text_is_refused_by_its_line(
    lines: FakeServer, dragoman: Command, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(data)
    done = dragoman("nearest", "--file", str(path))
    assert done.code == 1
    assert f"{path}, line " in done.err


def test_a_file_that_is_not_there_is_named(lines: FakeServer, dragoman: Command) -> None:
    done = dragoman("nearest", "--file", "no/such/file")
    assert (done.code, done.out) == (1, "")
    assert "cannot read no/such/file" in done.err
