"""Continuations that replicas draw, with streams that a test fills."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import OverloadedError
from dragoman_models.language_model.generation_options import FinishReason, GenerationOptions
from dragoman_server.generation_loop import Drawing, GenerationLoop, LostContinuation
from dragoman_server.ray_engine.ray_engine import Arrival, Ended, RayEngine, Restarted
from dragoman_server.workers.messages import DrawnToken, Join, Reply

OPTIONS = GenerationOptions(max_tokens=9)


class FakeReplicas:
    """Streams by the order in which they were opened."""

    def __init__(self) -> None:
        self.joins: list[Join] = []
        self.deliver: list[Callable[[Arrival], None]] = []
        self.closed: list[int] = []

    def open_stream(self, join: Join, deliver: Callable[[Arrival], None]) -> Callable[[], None]:
        number = len(self.joins)
        self.joins.append(join)
        self.deliver.append(deliver)
        return lambda: self.closed.append(number)


def token(number: int, value: int, *, last: bool = False) -> DrawnToken:
    return DrawnToken(
        number=number, text=chr(97 + value), token=value, token_log_prob=-1.0 - value,
        finish_reason=FinishReason.MAX_LENGTH if last else None,
    )  # fmt: skip


def all_events(engine: RayEngine) -> list[Any]:
    events: list[Any] = []
    while engine.active:
        events += engine.step()
    return events


def test_streams_are_drawn_side_by_side() -> None:
    replicas = FakeReplicas()
    engine = RayEngine(replicas.open_stream, keep=None)
    assert engine.step() == []  # returns, although nothing arrives
    (first,) = engine.join("one", OPTIONS, seed=1, tokens=[3, 4])
    second, third = engine.join("two", OPTIONS, seed=2, samples=2)
    assert [one.tokens for one in replicas.joins] == [[3, 4], None]
    replicas.deliver[0]([[token(0, 1)], [token(0, 2, last=True)]])
    replicas.deliver[1]([[token(0, 3, last=True), token(1, 4)]])
    events = engine.step()  # of each continuation at most one
    assert [one.generation for one in events] == [first, second, third]
    assert [one.text for one in engine.step() if not isinstance(one, LostContinuation)] == ["c"]
    assert engine.active == 1
    replicas.deliver[1]([[token(1, 5, last=True)]])
    all_events(engine)
    assert [one.tokens for one in (first, second, third)] == [[1, 2], [3], [4, 5]]
    assert [one.log_prob for one in (first, second, third)] == [-5.0, -4.0, -11.0]
    assert third.finish_reason is FinishReason.MAX_LENGTH
    assert replicas.closed == [0, 1]


def test_a_stream_is_closed_when_all_of_it_have_left() -> None:
    replicas = FakeReplicas()
    engine = RayEngine(replicas.open_stream, keep=None)
    first, second = engine.join("one", OPTIONS, seed=1, samples=2)
    engine.leave(first)
    assert replicas.closed == []
    replicas.deliver[0]([[token(0, 1), token(1, 2)]])
    (event,) = engine.step()
    assert event.generation is second
    engine.leave(second)
    engine.leave(second)
    assert (replicas.closed, engine.active) == ([0], 0)
    replicas.deliver[0]([[token(1, 2)]])  # what was on its way
    assert engine.step() == []


def test_the_streams_of_an_engine_that_is_dropped_are_closed() -> None:
    replicas = FakeReplicas()
    engine = RayEngine(replicas.open_stream, keep=None)
    engine.join("one", OPTIONS, seed=1)
    engine.join("two", OPTIONS, seed=1)
    del engine
    gc.collect()
    assert replicas.closed == [0, 1]


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    sent=st.integers(0, 7),
    taken=st.integers(0, 7),
)
def test_a_stream_that_begins_again_goes_on_where_it_was(
    lengths: list[int], sent: int, taken: int
) -> None:
    steps = [
        [
            token(index, step, last=step == length - 1)
            for index, length in enumerate(lengths)
            if step < length
        ]
        for step in range(max(lengths))
    ]
    replicas = FakeReplicas()
    engine = RayEngine(replicas.open_stream, keep=None)
    generations = engine.join("one", OPTIONS, seed=1, samples=len(lengths))
    sent, events = min(sent, len(steps)), []
    for step in steps[:sent]:
        replicas.deliver[0]([step])
    if sent:
        for _ in range(min(taken, sent)):
            events += engine.step()
    replicas.deliver[0](Restarted())
    replicas.deliver[0](steps)
    replicas.deliver[0](Ended())
    events += all_events(engine)
    assert [one.tokens for one in generations] == [list(range(length)) for length in lengths]
    assert len(events) == sum(lengths)
    assert not any(isinstance(event, LostContinuation) for event in events)


@pytest.mark.parametrize(
    ("arrival", "kind"),
    [
        (Reply(error=OverloadedError("gone", 1.0)), OverloadedError),
        (Reply(traceback="ZeroDivisionError"), RuntimeError),
        (Ended(), RuntimeError),
    ],
)
def test_a_stream_that_is_lost_ends_alone(arrival: Arrival, kind: type[Exception]) -> None:
    replicas = FakeReplicas()
    engine = RayEngine(replicas.open_stream, keep=None)
    first, second = engine.join("one", OPTIONS, seed=1, samples=2)
    (other,) = engine.join("two", OPTIONS, seed=1)
    replicas.deliver[0](arrival)
    lost = [event for event in engine.step() if isinstance(event, LostContinuation)]
    assert [event.generation for event in lost] == [first, second]
    assert all(isinstance(event.error, kind) for event in lost)
    replicas.deliver[1]([[token(0, 1, last=True)]])
    all_events(engine)
    assert other.tokens == [1]


def test_the_loop_tells_only_the_drawing_that_is_lost() -> None:
    replicas = FakeReplicas()

    class Model:
        def engine(self) -> RayEngine:
            return RayEngine(replicas.open_stream, keep=self)

    loop = GenerationLoop(Model(), 10)
    heard: list[list[Any]] = [[], []]
    ended = [threading.Event(), threading.Event()]

    def drawing(number: int) -> Drawing:
        def deliver(found: Any) -> None:
            heard[number].append(found)
            ended[number].set()

        return Drawing(
            prompt="", tokens=[0], options=OPTIONS, seed=1, samples=1, deliver=deliver
        )  # fmt: skip

    for number in range(2):
        loop.join(drawing(number))
    while len(replicas.deliver) < 2:
        threading.Event().wait(0.005)
    replicas.deliver[0](Reply(error=OverloadedError("gone", 1.0)))
    assert ended[0].wait(60)
    assert isinstance(heard[0][0], OverloadedError)
    assert not heard[1]
    replicas.deliver[1]([[token(0, 1, last=True)]])
    assert ended[1].wait(60)
    assert [event.text for event in heard[1][0]] == ["b"]
    while loop.samples:
        threading.Event().wait(0.005)


def test_an_engine_that_cannot_be_made_is_heard_of() -> None:
    class Model:
        def engine(self) -> RayEngine:
            raise OverloadedError("no replica is there", 1.0)

    heard: list[Any] = []
    ended = threading.Event()
    loop = GenerationLoop(Model(), 10)

    def deliver(found: Any) -> None:
        heard.append(found)
        ended.set()

    loop.join(Drawing(prompt="", tokens=[0], options=OPTIONS, seed=1, samples=1, deliver=deliver))
    assert ended.wait(60)
    assert isinstance(heard[0], OverloadedError)
