"""`dragoman evaluate`: what it sends, what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dragoman.v1.evaluation_service_pb2 import EvaluationServiceScoreResponse

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def server(translating_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    monkeypatch.setenv("DRAGOMAN_SERVER", translating_server.address)
    scores = EvaluationServiceScoreResponse()
    scores.scores.bleu.score, scores.scores.bleu.signature = 42.256, "sig-b"
    scores.scores.chrf.score, scores.scores.chrf.signature = 60.5, "sig-c"
    scores.scores.ter.score, scores.scores.ter.signature = 33.0, "sig-t"
    scores.scores.segment_count = 4
    translating_server.always("Score", scores)
    return translating_server


@pytest.fixture
def evaluate(dragoman: Command, tmp_path: Path) -> Command:
    def run(source: str | bytes, reference: str | bytes, *arguments: str) -> Any:
        for name, text in (("source", source), ("reference", reference)):
            data = text.encode() if isinstance(text, str) else text
            (tmp_path / f"{name}.txt").write_bytes(data)
        files = ["--source", str(tmp_path / "source.txt")]
        files += ["--reference", str(tmp_path / "reference.txt")]
        return dragoman("evaluate", *files, *arguments)

    return run


def test_hypotheses_and_references_are_scored_without_space_at_their_ends(
    server: FakeServer, evaluate: Command
) -> None:
    done = evaluate("one\n\ntwo \nthree\n", "ONE \nx\nTWO\nTHREE")
    assert (done.code, done.err) == (0, "")
    assert done.out == "BLEU\t42.26\tsig-b\nchrF2\t60.50\tsig-c\nTER\t33.00\tsig-t\n"
    score = server.requests[-1]
    assert [segment.hypothesis for segment in score.segments] == ["ONE", "", "TWO", "THREE"]
    assert [segment.references[0] for segment in score.segments] == ["ONE", "x", "TWO", "THREE"]


def test_json(server: FakeServer, evaluate: Command) -> None:
    values = json.loads(evaluate("one\n", "ONE\n", "--json").out)
    assert values == {
        "model": "shout", "version": 2, "segments": 4, "errors": 0,
        "bleu": {"score": 42.256, "signature": "sig-b"},
        "chrf": {"score": 60.5, "signature": "sig-c"},
        "ter": {"score": 33.0, "signature": "sig-t"},
    }  # fmt: skip


def test_options_reach_every_call(server: FakeServer, evaluate: Command) -> None:
    evaluate("one\n" * 100, "ONE\n" * 100, "--model", "shout", "--beam-width", "2")
    *translated, _ = server.requests
    assert len(translated) == 2
    assert {request.options.beam_width for request in translated} == {2}
    assert {request.model.name for request in translated} == {"shout"}


def test_scoring_gets_more_time_the_larger_the_corpus_is(
    server: FakeServer, evaluate: Command
) -> None:
    evaluate("one\n" * 600, "ONE\n" * 600)
    assert 80 < server.deadlines[-1] < 91
    assert max(server.deadlines[:-1]) < 31


def test_the_translations_are_kept(server: FakeServer, evaluate: Command, tmp_path: Path) -> None:
    output = tmp_path / "hypotheses.txt"
    evaluate("one\n\ntwo\n", "a\nb\nc\n", "--output", str(output))
    assert output.read_text() == "ONE\n\nTWO\n"
    done = evaluate("one\n", "a\n", "--output", str(tmp_path / "missing" / "x"))
    assert done.code == 1
    assert "cannot write" in done.err


def test_a_line_that_fails_counts_as_empty_and_is_reported(
    server: FakeServer, evaluate: Command, tmp_path: Path
) -> None:
    done = evaluate("one\nbad\n", "a\nb\n", "--json")
    assert done.code == 1
    assert json.loads(done.out)["errors"] == 1
    assert done.err == f"dragoman: {tmp_path}/source.txt, line 2: is blank; give some text\n"
    assert [segment.hypothesis for segment in server.requests[-1].segments] == ["ONE", ""]


@pytest.mark.parametrize(
    ("source", "reference", "message"),
    [
        ("a\nb\n", "a\n", "source.txt has 2 lines and {}reference.txt has 1"),
        ("", "", "are empty; give at least one line"),
        ("a\nb\n", "a\n \n", "reference.txt, line 2: is blank; give the translation"),
        (b"a\n\xff\n", "a\nb\n", "source.txt, line 2: is not UTF-8"),
        ("a\n", b"\xff\n", "reference.txt, line 1: is not UTF-8"),
    ],
)
def test_files_that_do_not_fit_are_refused_before_any_call(
    server: FakeServer,
    evaluate: Command,
    tmp_path: Path,
    source: str | bytes,
    reference: str | bytes,
    message: str,
) -> None:
    done = evaluate(source, reference)
    assert (done.code, done.out) == (1, "")
    assert message.format(f"{tmp_path}/") in done.err
    assert server.requests == []
