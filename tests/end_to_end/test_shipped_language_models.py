"""The shipped language models score and continue English over gRPC."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end.conftest import DRAGOMAN, Finished, RunningServer

from dragoman_client import (
    Client,
    DragomanClientError,
    GenerationChunk,
    GenerationOptions,
    TextScore,
)

MODELS = ("english-lstm", "english-gru")
MOST_BYTES = {"english-lstm": 10_000_000, "english-gru": 6_000_000}


def processor_seconds(process_id: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scores(client: Client, texts: list[str], model: str) -> list[TextScore]:
    """The scores of texts in one call, with their tokens; none may fail."""
    found = client.score_texts(texts, model=model, return_tokens=True)
    assert not any(isinstance(one, DragomanClientError) for one in found)
    return [one for one in found if isinstance(one, TextScore)]


@pytest.mark.parametrize("model", MODELS)
def test_english_is_likelier_than_the_same_words_in_disorder(client: Client, model: str) -> None:
    pairs = [
        ("She looked at him for a moment.", "Moment him a looked for she at."),
        ("He had never been in the house before.", "Before house been he the had in never."),
        ("They were waiting at the door.", "Door waiting they the at were."),
    ]
    for right, wrong in pairs:
        first, second = scores(client, [right, wrong], model)
        assert first.log_prob > second.log_prob + 5


@pytest.mark.parametrize("model", MODELS)
def test_a_text_scored_alone_or_in_a_batch_has_the_same_figures(client: Client, model: str) -> None:
    texts = ["It was a dark night.", "", "שלום 😀 naïve", "a" * 3000]
    for text, score in zip(texts, scores(client, texts, model), strict=True):
        (alone,) = scores(client, [text], model)
        assert score.log_prob == pytest.approx(alone.log_prob, rel=1e-4)
        assert [(token.start, token.end) for token in score.tokens] == [
            (token.start, token.end) for token in alone.tokens
        ]
        assert max((token.end for token in score.tokens), default=0) == len(text)


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_gives_its_text_whatever_else_runs(client: Client, model: str) -> None:
    options = GenerationOptions(seed=5, temperature=0.8, max_tokens=30)

    def text(options: GenerationOptions) -> str:
        events = client.generate("Once upon a time", model=model, options=options)
        return "".join(event.text for event in events if isinstance(event, GenerationChunk))

    alone = text(options)
    others = client.generate(
        "He said", model=model, options=GenerationOptions(seed=1, max_tokens=200, sample_count=4)
    )
    next(others)
    assert text(options) == alone
    assert text(GenerationOptions(seed=6, temperature=0.8, max_tokens=30)) != alone


def test_each_states_its_figures_and_licence(client: Client) -> None:
    for model in MODELS:
        card = client.get_model(model)
        assert card.info.size_bytes < MOST_BYTES[model]
        assert 1 < card.info.metrics["test.plain.perplexity"] < 100
        assert "Standard Ebooks" in card.card


def test_the_twins_cut_texts_into_the_same_tokens(client: Client) -> None:
    texts = ["Once upon a time there was a Zeppelin.", "naïve 😀", "two\nlines"]
    first, second = (scores(client, texts, model) for model in MODELS)
    for one, other in zip(first, second, strict=True):
        assert [token.token for token in one.tokens] == [token.token for token in other.tokens]


def test_the_command_streams_and_scores(dragoman: Callable[..., Finished], tmp_path: Path) -> None:
    told = dragoman("generate", "Once upon a time", "--seed", "1", "-n", "12")
    assert told.code == 0
    assert told.out.strip()
    file = tmp_path / "lines.txt"
    file.write_text("The cat sat.\nSat cat the.\n", encoding="utf-8")
    scored = dragoman("score", str(file))
    assert scored.code == 0
    assert len(scored.out.splitlines()) >= 2


def test_ctrl_c_stops_the_command_and_the_servers_work(server: RunningServer) -> None:
    command = [*DRAGOMAN, "generate", "It was", "--min-tokens", "4000", "-n", "4000"]
    process = subprocess.Popen(
        [*command, "--server", server.address], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.read(20)  # it is under way
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process.communicate()
    until = time.monotonic() + 60
    while True:  # 4,000 tokens are many seconds of work: idle means that it was dropped
        before = processor_seconds(server.process.pid)
        time.sleep(0.5)
        if processor_seconds(server.process.pid) - before < 0.1:
            break
        assert time.monotonic() < until
