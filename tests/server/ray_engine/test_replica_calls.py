"""What Ray's errors mean to callers, with replicas that a test controls."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.serve.exceptions import BackPressureError

from dragoman_models.errors import InvalidInputError, OverloadedError, WorkCancelledError
from dragoman_models.language_model.generation_options import GenerationOptions
from dragoman_server.errors import StartupError
from dragoman_server.ray_engine import replica_calls
from dragoman_server.ray_engine.ray_pool import RayPool
from dragoman_server.ray_engine.ray_settings import RaySettings
from dragoman_server.ray_engine.replica_calls import Application, ReplicaLostError
from dragoman_server.workers.messages import Call, Join, Reply
from dragoman_server.workers.wanted import Wanted

CALL = Call(model=1, method="translate", arguments=())
JOIN = Join(
    model=0, engine=0, prompt="", options=GenerationOptions(), seed=1, samples=1, tokens=None
)
DIED = ray.exceptions.ActorDiedError()


@dataclass
class FakeResponse:
    """Ends at once, or never; raises what it is told to."""

    outcome: Any
    cancelled: int = 0

    async def _to_object_ref(self) -> Any:
        if self.outcome is None:
            await asyncio.Event().wait()
        if isinstance(self.outcome, BackPressureError):
            raise self.outcome
        return self._answer()

    async def _to_object_ref_gen(self) -> None:
        pass

    async def _answer(self) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self.outcome:
            if isinstance(item, Exception):
                raise item
            yield item

    def cancel(self) -> None:
        self.cancelled += 1


@dataclass
class FakeHandle:
    """Answers one call after the other."""

    outcomes: list[Any]
    responses: list[FakeResponse] = field(default_factory=list)

    def options(self, **_: Any) -> FakeHandle:
        return self

    @property
    def call(self) -> Any:
        return SimpleNamespace(remote=self._remote)

    generate = call

    def _remote(self, *_: Any) -> FakeResponse:
        self.responses.append(FakeResponse(self.outcomes.pop(0)))
        return self.responses[-1]


@dataclass(frozen=True, kw_only=True)
class FakeApplication(Application):
    replicas: list[bool] = field(default_factory=list)  # whether there is one, at each look

    def has_replicas(self) -> bool:
        return self.replicas.pop(0)


@pytest.mark.parametrize(
    ("outcome", "kind", "match"),
    [
        (BackPressureError(7, 7), OverloadedError, "too many calls wait"),
        (DIED, ReplicaLostError, "actor died"),
        (ray.exceptions.WorkerCrashedError(), ReplicaLostError, "worker died"),
        (ValueError("a defect"), ValueError, "a defect"),
    ],
)
async def test_what_errors_mean(outcome: Exception, kind: type[Exception], match: str) -> None:
    handle = FakeHandle([outcome])
    with pytest.raises(kind, match=match):
        await replica_calls.answer(Application(name="a", handle=handle), "1", CALL)
    assert handle.responses[0].cancelled


async def test_a_call_waits_while_there_is_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_calls, "OUTAGE_SECONDS", 0.01)
    looks = [True, True, False]
    application = FakeApplication(name="a", handle=FakeHandle([None]), replicas=looks)
    with pytest.raises(OverloadedError, match="no replica is there"):
        await replica_calls.answer(application, "1", CALL)
    assert looks == []
    assert application.handle.responses[0].cancelled


async def test_a_stream_that_is_left_is_cancelled() -> None:
    handle = FakeHandle([[[["a"]], [["b"]]]])
    stream = replica_calls.steps(Application(name="a", handle=handle), JOIN)
    first: Any = await anext(stream)
    assert first == [["a"]]
    await stream.aclose()  # type: ignore[attr-defined]
    assert handle.responses[0].cancelled == 1


@pytest.fixture
def pool_with() -> Iterator[Callable[..., tuple[RayPool, FakeHandle]]]:
    """A pool without Ray, whose model 1 answers so."""
    pools: list[RayPool] = []

    def make(*outcomes: Any) -> tuple[RayPool, FakeHandle]:
        pool = RayPool(RaySettings())
        pools.append(pool)
        pool._thread.start()
        handle = FakeHandle(list(outcomes))
        placed: Any = SimpleNamespace(application=Application(name="a", handle=handle))
        pool._models[1] = placed
        dropped: list[Any] = []
        drop = SimpleNamespace(remote=lambda *notice: dropped.append(notice))
        pool._session.board = SimpleNamespace(drop=drop, dropped=dropped)
        return pool, handle

    yield make
    for pool in pools:
        pool._loop.call_soon_threadsafe(pool._loop.stop)
        pool._thread.join()
        pool._loop.close()


Make = Any


def test_a_call_whose_replica_is_lost_is_tried_once_more(pool_with: Make) -> None:
    pool, handle = pool_with(DIED, Reply(value=5))
    assert pool.call(1, CALL) == 5
    pool, handle = pool_with(DIED, DIED, Reply(value=5))
    with pytest.raises(OverloadedError, match="the replica that worked on this ended"):
        pool.call(1, CALL)
    assert len(handle.responses) == 2


def test_errors_of_the_model_are_raised_as_they_are(pool_with: Make) -> None:
    error = InvalidInputError.single("sources[0]", "is blank; give some text")
    pool, _ = pool_with(Reply(error=error), Reply(traceback="Traceback: boom"))
    with pytest.raises(InvalidInputError, match="is blank"):
        pool.call(1, CALL)
    with pytest.raises(RuntimeError, match="in a replica:\nTraceback: boom"):
        pool.call(1, CALL)
    with pytest.raises(OverloadedError, match="the model has left"):
        pool.call(2, CALL)


def test_what_is_not_wanted_is_told_and_then_cancelled(pool_with: Make) -> None:
    pool, handle = pool_with(None)
    gone: set[int] = set()
    threading.Timer(0.05, gone.add, [1]).start()
    threading.Timer(0.2, gone.update, [{0, 2}]).start()
    with pytest.raises(WorkCancelledError):
        pool.call(1, CALL, Wanted(3, lambda index: index in gone))
    told = [index for _, indices in pool._session.board.dropped for index in indices]
    assert told[0] == 1
    assert sorted(told) == [0, 1, 2]
    deadline = time.monotonic() + 60
    while not handle.responses[0].cancelled:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_stream_begins_again_where_its_replica_is_lost(pool_with: Make) -> None:
    from tests.server.ray_engine.test_ray_engine import all_events, token

    pool, _ = pool_with(
        [[[token(0, 1)]], DIED], [[[token(0, 1)], [token(0, 2)]], [[token(0, 3, last=True)]]]
    )
    engine = pool.engine(1, keep=None)
    (generation,) = engine.join("", GenerationOptions(), seed=1)
    assert len(all_events(engine)) == 3
    assert generation.tokens == [1, 2, 3]


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        pool = RayPool(RaySettings(address=address))
        with pytest.raises(StartupError, match=f"Ray at '{address}' is not there: .*refused"):
            pool.start()
        pool.close()
        pool._loop.close()
