"""Work is bounded, refused when the queue is full, and stops when nobody wants it any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dragoman_models.errors import OverloadedError, WorkCancelledError
from dragoman_server.work_queue import CancelFlag, WorkQueue


class HeldWork:
    """Work that goes on until it is let go, and says what became of it."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.let_go = threading.Event()
        self.saw_cancel = threading.Event()

    def __call__(self, flag: CancelFlag) -> str:
        self.started.set()
        while not self.let_go.wait(0.002):
            if flag.is_cancelled():
                self.saw_cancel.set()
                flag.check()
        return "done"


@pytest.fixture
async def queue() -> AsyncIterator[WorkQueue]:
    made = WorkQueue("tests", worker_threads=1, max_queued=1)
    yield made
    made.close()


async def test_answers_and_errors_come_back(queue: WorkQueue) -> None:
    assert await queue.run(lambda _: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await queue.run(lambda _: 1 / 0)
    assert await queue.run(lambda _: 8) == 8


async def test_work_runs_off_the_event_loop(queue: WorkQueue) -> None:
    assert await queue.run(lambda _: threading.get_ident()) != threading.get_ident()


async def test_a_full_queue_refuses_with_a_time_to_come_back(
    queue: WorkQueue, wait_until: Callable[..., Any]
) -> None:
    work = HeldWork()
    running = asyncio.create_task(queue.run(work))
    waiting = asyncio.create_task(queue.run(lambda _: "second"))
    await wait_until(lambda: work.started.is_set() and queue.queued == 1)
    with pytest.raises(OverloadedError) as caught:
        await queue.run(lambda _: "third")
    assert caught.value.retry_after_seconds > 0
    work.let_go.set()
    assert await running == "done"
    assert await waiting == "second"


async def test_a_caller_that_leaves_the_queue_is_never_started(
    queue: WorkQueue, wait_until: Callable[..., Any]
) -> None:
    work = HeldWork()
    started: list[CancelFlag] = []
    running = asyncio.create_task(queue.run(work))
    waiting = asyncio.create_task(queue.run(started.append))
    await wait_until(lambda: queue.queued == 1)
    waiting.cancel()
    await wait_until(lambda: queue.queued == 0)
    work.let_go.set()
    await running
    assert await queue.run(lambda _: "next") == "next"
    assert started == []


async def test_a_caller_that_leaves_stops_its_work(
    queue: WorkQueue, wait_until: Callable[..., Any]
) -> None:
    work = HeldWork()
    running = asyncio.create_task(queue.run(work))
    await wait_until(work.started.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_until(work.saw_cancel.is_set)
    await wait_until(lambda: queue.running == 0)


async def test_a_thread_that_does_not_stop_is_not_given_twice(
    queue: WorkQueue, wait_until: Callable[..., Any]
) -> None:
    may_end = threading.Event()
    deaf = asyncio.create_task(queue.run(lambda _: may_end.wait()))
    await wait_until(lambda: queue.running == 1)
    deaf.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deaf
    second = asyncio.create_task(queue.run(lambda _: "second"))
    await wait_until(lambda: queue.queued == 1)
    assert queue.running == 1
    may_end.set()
    assert await second == "second"


async def test_never_more_at_once_than_threads() -> None:
    queue = WorkQueue("tests", worker_threads=3, max_queued=100)
    lock, now, most = threading.Lock(), 0, 0

    def work(_: CancelFlag) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    await asyncio.gather(*(queue.run(work) for _ in range(40)))
    queue.close()
    assert 1 <= most <= 3


async def test_closing_cancels_what_runs(wait_until: Callable[..., Any]) -> None:
    queue = WorkQueue("tests", worker_threads=1, max_queued=1)
    work = HeldWork()
    running = asyncio.create_task(queue.run(work))
    await wait_until(work.started.is_set)
    queue.close()
    with pytest.raises(WorkCancelledError):
        await running
    await wait_until(lambda: queue.running == 0)
