"""The `dragoman` command and grpcurl, as processes, against the real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import RunningServer

Command = Callable[..., Any]
BIN = Path(sys.executable).parent


def test_words(dragoman: Command) -> None:
    done = dragoman("analogy", "man", "king", "woman")
    assert done.code == 0
    assert done.out.split("\t")[0] == "queen"
    done = dragoman("similarity", "king", "queen")
    assert 0.7 < float(done.out) < 0.8
    done = dragoman("nearest", "king", "-k", "3", "--json")
    assert len(json.loads(done.out)["neighbors"]) == 3
    done = dragoman("nearest", "xyzzyqq")
    assert (done.code, done.out) == (1, "")
    assert "'xyzzyqq' is not in the vocabulary" in done.err


def test_models(dragoman: Command) -> None:
    lines = [line.split("\t") for line in dragoman("models").out.splitlines()]
    states = {line[0]: line[3] for line in lines}
    assert states["glove-100d"] == states["babel"] == "ready"
    assert states["damaged"].startswith("failed: ")
    assert dragoman("models", "babel").out == "# babel\n\nRandom weights, to test with.\n"


def test_a_model_is_unloaded_and_loaded_again(dragoman: Command) -> None:
    (line,) = dragoman("models", "unload", "glove-100d/1").out.splitlines()
    assert line.split("\t")[3] == "unloaded"
    refused = dragoman("similarity", "king", "queen", "--model", "glove-100d")
    assert (refused.code, "load it first" in refused.err) == (1, True)
    assert dragoman("models", "load", "glove-100d").out.split("\t")[3] == "ready"
    assert dragoman("similarity", "king", "queen", "--model", "glove-100d").code == 0
    missing = dragoman("models", "load", "glove-100d/9")
    assert (missing.code, "no version 9" in missing.err) == (1, True)


def test_lines_stay_in_step(dragoman: Command) -> None:
    lines = ["the cat", "", "x" * 10_001, "the dog \u05e9\u05dc\u05d5\u05dd", "🙂"]
    done = dragoman("translate", "--model", "babel", "-b", "1", stdin="\n".join(lines).encode())
    assert done.code == 1
    filled = [bool(line) for line in done.out.split("\n")]
    assert filled == [True, False, False, True, True, False]
    assert done.err.startswith("dragoman: line 3: ")
    assert "10,000" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--beam-width", "0"), "options.beam_width: is 0; give 1 to 64"),
        (("--beam-width", "65"), "options.beam_width: is 65; give 1 to 64"),
        (("--n-best", "6"), "options.n_best"),
        (("--length-penalty", "nan"), "options.length_penalty"),
        (("--length-penalty", "1", "--length-normalization", "none"), "options.length_penalty"),
        (("--model", "xx"), "xx"),
    ],
)
def test_wrong_options_are_named(
    dragoman: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = dragoman("translate", "the cat", "--model", "babel", *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_evaluate_gives_what_sacrebleu_gives(dragoman: Command, tmp_path: Path) -> None:
    source, reference = tmp_path / "source.txt", tmp_path / "reference.txt"
    output = tmp_path / "hypotheses.txt"
    # What the translator writes is used as reference for half of the lines, with other words added.
    lines = [f"the {word} cat" for word in ("old", "new", "red", "", "big", "tan")]
    source.write_text("\n".join(lines) + "\n")
    options = ("--model", "babel", "--beam-width", "2")
    written = dragoman("translate", "--file", str(source), *options).out.splitlines()
    reference.write_text("".join(f"{line} \u00abwords\u00bb \n" for line in written))
    files = ("--source", str(source), "--reference", str(reference), "--output", str(output))
    done = dragoman("evaluate", *files, *options, "--json")
    assert (done.code, done.err) == (0, "")
    assert output.read_text().splitlines() == written
    ours = json.loads(done.out)
    command = [str(BIN / "sacrebleu"), str(reference), "-i", str(output), "-m", "bleu", "chrf",
               "ter", "--width", "6"]  # fmt: skip
    theirs = json.loads(subprocess.check_output(command, timeout=100))
    assert 0 < ours["chrf"]["score"] < 100  # random words have no four in a row that match
    for name, score in zip(("bleu", "chrf", "ter"), theirs, strict=True):
        assert round(ours[name]["score"], 6) == score["score"]
        assert ours[name]["signature"] == score["signature"]


def grpcurl(*arguments: str) -> str:
    return subprocess.check_output([str(BIN / "grpcurl"), "-plaintext", *arguments], text=True)


def test_reflection_lists_and_describes_the_services(server: RunningServer) -> None:
    services = grpcurl(server.address, "list").split()
    assert services == [
        "dragoman.v1.EmbeddingService",
        "dragoman.v1.EvaluationService",
        "dragoman.v1.LanguageModelService",
        "dragoman.v1.ModelService",
        "dragoman.v1.TranslationService",
        "dragoman.v1.VisionService",
        *[service for service in services if not service.startswith("dragoman.")],
    ]
    assert {"grpc.health.v1.Health"} < set(services)
    assert "rpc Translate" in grpcurl(server.address, "describe", services[4])


def test_grpcurl_calls(server: RunningServer) -> None:
    question = {"a": "man", "b": "king", "c": "woman"}
    answer = json.loads(
        grpcurl("-d", json.dumps({"questions": [question]}), server.address,
                "dragoman.v1.EmbeddingService/Analogy")
    )  # fmt: skip
    assert answer["results"][0]["answers"]["neighbors"][0]["word"] == "queen"
    health = json.loads(grpcurl(server.address, "grpc.health.v1.Health/Check"))
    assert health == {"status": "SERVING"}
