"""Lines are gathered, translated and put back in step, whatever they hold."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from dragoman_client import Client, DragomanClientError, Translation
from dragoman_client.lines import (
    BATCH_BYTES,
    BATCH_LINES,
    Line,
    gather,
    one_line,
    translate_batch,
)

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

TEXTS = st.lists(st.integers(0, 2 * BATCH_BYTES).map(lambda size: "é" * size), max_size=20)


def lines(texts: list[str]) -> list[Line]:
    return [Line(number=i, text=text) for i, text in enumerate(texts, start=1)]


@given(texts=TEXTS | st.lists(st.just("a"), max_size=4 * BATCH_LINES))
def test_batches_hold_every_line_once_and_no_batch_is_too_large(texts: list[str]) -> None:
    batches = list(gather(lines(texts)))
    assert [line for batch in batches for line in batch] == lines(texts)
    for batch in batches:
        assert 1 <= len(batch) <= BATCH_LINES
        size = sum(len(line.text.encode()) for line in batch)
        assert size <= BATCH_BYTES or len(batch) == 1


@given(texts=TEXTS | st.lists(st.just("a"), max_size=4 * BATCH_LINES))
def test_two_neighbouring_batches_could_not_have_been_one(texts: list[str]) -> None:
    batches = list(gather(lines(texts)))
    for batch, after in itertools.pairwise(batches):
        size = sum(len(line.text.encode()) for line in [*batch, after[0]])
        assert len(batch) == BATCH_LINES or size > BATCH_BYTES


def test_results_are_in_step_with_their_lines(translating_server: FakeServer) -> None:
    texts = ["a", "", "bad", "  ", "b"]
    with Client(translating_server.address) as client:
        translated = translate_batch(client, lines(texts))
    assert [one.line.text for one in translated] == texts
    assert [one.text for one in translated] == ["A", "", "", "", "B"]
    kinds = [type(one.result) for one in translated]
    assert kinds[0] is kinds[4] is Translation
    assert issubclass(kinds[2], DragomanClientError)
    assert kinds[1] is kinds[3] is type(None)
    (request,) = translating_server.requests
    assert [source.text for source in request.sources] == ["a", "bad", "b"]


def test_a_batch_of_blank_lines_needs_no_call(translating_server: FakeServer) -> None:
    with Client(translating_server.address) as client:
        assert [one.result for one in translate_batch(client, lines(["", " "]))] == [None, None]
    assert translating_server.requests == []


@given(text=st.text())
def test_a_translation_takes_one_line(text: str) -> None:
    assert "\n" not in one_line(text)
    assert "\r" not in one_line(text)
    if not {"\r", "\n"} & set(text):
        assert one_line(text) == text
