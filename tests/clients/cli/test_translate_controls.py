"""`dragoman translate`: chance, ensembles, sentences, linked words, and the picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dragoman.v1 import model_pb2
from dragoman.v1.translation_service_pb2 import (
    SENTENCE_SPLITTING_AT_SENTENCE_ENDS,
    TranslateResponse,
)

if TYPE_CHECKING:
    import grpc
    from tests.clients.conftest import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Translates all into "₿ $x", whose words look at the text's first and last characters."""

    def translate(request: Any, context: grpc.ServicerContext) -> TranslateResponse:
        response = TranslateResponse(model=model_pb2.ModelVersion(name="money", version=1))
        response.ensemble_models.add(name="other", version=4)
        for source in request.sources:
            translation = response.results.add().translation
            translation.seed = 77
            found = translation.hypotheses.add(text="₿ $x", score=-1.0)
            if request.options.return_alignments:
                found.alignment.source_tokens.extend(["▁שלום", "<0xF0>", "</s>"])
                found.alignment.target_tokens.extend(["▁₿", "▁$x", "</s>"])
                found.alignment.weights.extend([1, 0, 0, 0.5, 0.5, 0, 0, 0, 1])
                link = found.alignment.word_links.add(weight=0.75)
                link.source.end, link.target.end = 1, 1
                link = found.alignment.word_links.add(weight=0.5)
                link.source.start, link.source.end = len(source.text) - 1, len(source.text)
                link.target.start, link.target.end = 2, 4
        return response

    server.answers["Translate"] = translate
    monkeypatch.setenv("DRAGOMAN_SERVER", server.address)
    return server


def test_options_of_chance_ask_for_samples(server: FakeServer, dragoman: Command) -> None:
    done = dragoman("translate", "a", "-t", "0.5", "--top-k", "9", "--top-p", "0.75", "--min-p",
                    "0.25", "--typical-p", "0.5", "--seed", "0", "--n-best", "3")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    dragoman("translate", "a", "--sample")
    dragoman("translate", "a", "--n-best", "3")
    full, plain, search = (request.options for request in server.requests)
    filters = (0.5, 9, 0.75, 0.25, 0.5, 0)
    names = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
    assert tuple(getattr(full.sampling, name) for name in names) == filters
    assert full.sampling.HasField("seed")
    assert plain.HasField("sampling")
    assert not plain.sampling.ListFields()
    assert not search.HasField("sampling")


def test_ensembles_and_splitting_reach_the_server(server: FakeServer, dragoman: Command) -> None:
    dragoman("translate", "a", "--ensemble", "other", "--ensemble", "third/3",
             "--sentence-splitting", "at_sentence_ends")  # fmt: skip
    (request,) = server.requests
    first, second = request.options.ensemble_models
    assert (first.name, first.HasField("version")) == ("other", False)
    assert (second.name, second.version) == ("third", 3)
    assert request.options.sentence_splitting == SENTENCE_SPLITTING_AT_SENTENCE_ENDS


def test_json_holds_linked_words_the_seed_and_the_ensemble(
    server: FakeServer, dragoman: Command
) -> None:
    done = dragoman("translate", "🙂 là", "--json", "--alignments")
    found = json.loads(done.out)
    assert found["hypotheses"][0]["word_links"] == [
        {"target": "₿", "source": "🙂", "target_span": [0, 1], "source_span": [0, 1],
         "weight": 0.75},
        {"target": "$x", "source": "à", "target_span": [2, 4], "source_span": [3, 4],
         "weight": 0.5},
    ]  # fmt: skip
    assert (found["seed"], found["ensemble_models"]) == (77, ["other/4"])
    assert "word_links" not in dragoman("translate", "a", "--json").out
    done = dragoman("translate", "a", "--alignments")
    assert done.code == 2
    assert "goes with --json" in done.err


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_attention_is_drawn(
    server: FakeServer, dragoman: Command, tmp_path: Path, name: str, start: bytes
) -> None:
    out = tmp_path / name
    done = dragoman("translate", "שלום 🙂", "--plot-attention", str(out))
    assert (done.code, done.out) == (0, "₿ $x\n"), done.err
    assert out.read_bytes().startswith(start)
    if name.endswith("svg"):
        drawn = out.read_text(encoding="utf-8")
        for token in ("▁שלום", "&lt;0xF0&gt;", "▁₿", "▁$x"):
            assert f">{token}<" in drawn


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["a", "--plot-attention", "{}/a.gif"], 1, "'a.gif' must end in .png"),
        (["a", "--plot-attention", "{}/none/a.png"], 1, "there is no folder"),
        (["a", "--plot-attention", "{}/folder.png"], 1, "folder.png is a folder"),
        (["a", "b", "--plot-attention", "{}/a.png"], 2, "goes with one TEXT"),
        (["--plot-attention", "{}/a.png"], 2, "goes with one TEXT"),
    ],
)
def test_a_picture_that_cannot_be_written_is_said_before_translating(
    server: FakeServer,
    dragoman: Command,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    problem: str,
) -> None:
    (tmp_path / "folder.png").mkdir()
    done = dragoman("translate", *(one.format(tmp_path) for one in arguments))
    assert (done.code, done.out) == (code, "")
    assert problem in done.err
    assert server.requests == []


def test_a_picture_needs_its_extra() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\nfrom dragoman_client.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "translate", "a", "--plot-attention", "a.png"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs the package matplotlib" in done.stderr
    assert "pip install 'dragoman[plot]'" in done.stderr
