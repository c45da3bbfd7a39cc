"""Batches gather while workers are busy; gone and late work stops; no call is another's affair."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from dragoman_models.errors import OverloadedError, WorkCancelledError
from dragoman_server.batching.admission import QueueLimits
from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.fair_queue import BatchLimits
from dragoman_server.batching.observer import BatchRecord
from dragoman_server.batching.quotas import ClientQuota
from dragoman_server.caller import Caller
from dragoman_server.caller import _current as caller_variable
from dragoman_server.errors import DeadlinePassedError, QuotaExceededError

Wait = Callable[..., Any]


class StepwiseEngine:
    """Doubles numbers, in as many steps as a test lets it make."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.stopped_at: dict[int, int] = {}  # by payload: the step at which it was given up
        self.step = 0
        self._steps = threading.Semaphore(0)
        self.steps_a_batch = 1

    def allow(self, steps: int) -> None:
        self._steps.release(steps)

    def run(self, payloads: Sequence[int], cancelled: Cancelled) -> list[int]:
        self.batches.append(list(payloads))
        left = set(range(len(payloads)))
        for _ in range(self.steps_a_batch):
            self._steps.acquire()
            self.step += 1
            for index in [one for one in left if cancelled(one)]:
                left.discard(index)
                self.stopped_at[payloads[index]] = self.step
            if not left:
                break
        if 13 in payloads:
            raise ValueError("13 cannot be doubled")
        return [2 * payload if index in left else -1 for index, payload in enumerate(payloads)]


class Recorder:
    def __init__(self) -> None:
        self.records: list[BatchRecord] = []
        self.refusals: list[tuple[str, int]] = []
        self.late = 0

    def batch_ended(self, record: BatchRecord) -> None:
        self.records.append(record)

    def shed(self, kind: str, reason: str, cost: int) -> None:
        self.refusals.append((reason, cost))

    def expired(self, kind: str, items: int) -> None:
        self.late += items


class Bench:
    """A batcher of one worker with its engine, clock and observer."""

    def __init__(self, **limits: Any) -> None:
        self.now = 1_000.0
        self.engine = StepwiseEngine()
        self.heard = Recorder()
        self.batcher = Batcher(
            "tests", worker_threads=1, observer=self.heard, clock=lambda: self.now,
            batch=BatchLimits(items=4, cost=1_000), **limits,
        )  # fmt: skip

    def ask(
        self, *payloads: int, client: str = "one", deadline: float | None = None,
        options: str = "", cost: int = 10,
    ) -> asyncio.Task[list[int]]:  # fmt: skip
        """A call that runs as a task of its own, as each call of a server does."""
        lane = Lane(key=options, engine=self.engine, kind="doubling")

        async def call() -> list[int]:
            caller_variable.set(Caller(client=client, deadline=deadline))
            async with self.batcher.call(lane) as made:
                return await made.run([Work(payload=one, cost=cost) for one in payloads])

        return asyncio.create_task(call())

    async def occupy(self, wait_until: Wait) -> asyncio.Task[list[int]]:
        """Make the worker busy until the next step is allowed."""
        first = self.ask(0)
        await wait_until(lambda: self.engine.batches == [[0]])
        return first


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.engine.allow(1_000)
    made.batcher.close()


async def test_a_lone_caller_is_served_alone_and_at_once(bench: Bench) -> None:
    bench.engine.allow(10)
    assert [await bench.ask(number) for number in range(5)] == [[0], [2], [4], [6], [8]]
    assert bench.engine.batches == [[0], [1], [2], [3], [4]]


async def test_calls_that_come_in_the_same_turn_share_a_batch(bench: Bench) -> None:
    bench.engine.allow(1)
    assert list(await asyncio.gather(bench.ask(1), bench.ask(2, 3))) == [[2], [4, 6]]
    assert len(bench.engine.batches) == 1


async def test_what_arrives_while_the_worker_is_busy_gathers_by_options(
    bench: Bench, wait_until: Wait
) -> None:
    first = await bench.occupy(wait_until)
    calls = [bench.ask(number, options=str(number % 2)) for number in range(1, 7)]
    await wait_until(lambda: bench.batcher.queued == 6)
    bench.engine.allow(10)
    assert await asyncio.gather(first, *calls) == [[2 * number] for number in range(7)]
    assert [sorted(one) for one in bench.engine.batches[1:]] == [[1, 3, 5], [2, 4, 6]]
    assert [(one.items, one.calls, one.cost) for one in bench.heard.records] == [
        (1, 1, 10), (3, 3, 30), (3, 3, 30)
    ]  # fmt: skip


async def test_a_single_goes_before_the_rest_of_a_long_job(bench: Bench, wait_until: Wait) -> None:
    first = await bench.occupy(wait_until)
    job = bench.ask(*range(100, 150), client="long", options="job")
    await wait_until(lambda: bench.batcher.queued == 1)
    bench.engine.allow(1)
    await wait_until(lambda: len(bench.engine.batches) == 2)
    single = bench.ask(7, client="short")
    await wait_until(lambda: bench.batcher.queued == 2)
    bench.engine.allow(1)
    await wait_until(lambda: len(bench.engine.batches) == 3)
    assert bench.engine.batches[2] == [7]
    bench.engine.allow(100)
    assert await single == [14]
    assert await job == [2 * number for number in range(100, 150)]
    await first


async def test_a_caller_that_goes_away_leaves_the_batch_within_a_step_and_disturbs_nobody(
    bench: Bench, wait_until: Wait
) -> None:
    bench.engine.steps_a_batch = 6
    gone, stays = bench.ask(1, 2), bench.ask(3, 4)
    await wait_until(lambda: len(bench.engine.batches) == 1)
    bench.engine.allow(3)
    await wait_until(lambda: bench.engine.step == 3)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    bench.engine.allow(1)
    await wait_until(lambda: len(bench.engine.stopped_at) == 2)
    assert bench.engine.stopped_at == {1: 4, 2: 4}
    bench.engine.allow(10)
    assert await stays == [6, 8]
    assert bench.heard.records[0].cancelled == 2


async def test_a_deadline_that_passes_in_a_batch_ends_its_items_alone(
    bench: Bench, wait_until: Wait
) -> None:
    bench.engine.steps_a_batch = 6
    late, stays = bench.ask(1, deadline=bench.now + 5), bench.ask(2, deadline=bench.now + 50)
    await wait_until(lambda: len(bench.engine.batches) == 1)
    bench.engine.allow(2)
    await wait_until(lambda: bench.engine.step == 2)
    bench.now += 6
    bench.engine.allow(10)
    assert await stays == [4]
    with pytest.raises(DeadlinePassedError):
        await late
    assert bench.engine.stopped_at == {1: 3}


async def test_work_whose_deadline_passed_while_it_waited_is_never_started(
    bench: Bench, wait_until: Wait
) -> None:
    first = await bench.occupy(wait_until)
    late = bench.ask(1, 2, deadline=bench.now + 5)
    good = bench.ask(3, deadline=bench.now + 50)
    await wait_until(lambda: bench.batcher.queued == 2)
    bench.now += 6
    bench.engine.allow(10)
    assert await good == [6]
    with pytest.raises(DeadlinePassedError):
        await late
    assert bench.engine.batches == [[0], [3]]
    assert bench.heard.late == 2
    await first


async def test_a_caller_that_leaves_the_queue_is_never_started(
    bench: Bench, wait_until: Wait
) -> None:
    first = await bench.occupy(wait_until)
    gone = bench.ask(*range(1, 50))
    await wait_until(lambda: bench.batcher.queued == 1)
    gone.cancel()
    await wait_until(lambda: bench.batcher.queued == 0)
    assert bench.batcher.queued_cost == 0
    bench.engine.allow(10)
    assert await bench.ask(50) == [100]
    assert bench.engine.batches == [[0], [50]]
    await first


async def test_a_defect_that_one_call_meets_ends_that_call_alone(
    bench: Bench, wait_until: Wait
) -> None:
    bench.engine.allow(10)
    good, poisoned, other = bench.ask(1), bench.ask(12, 13), bench.ask(2)
    assert list(await asyncio.gather(good, other)) == [[2], [4]]
    with pytest.raises(ValueError, match="13"):
        await poisoned
    assert bench.heard.records[0].failed


async def test_the_queue_is_bounded_in_tokens_and_refuses_with_a_time(wait_until: Wait) -> None:
    bench = Bench(queue=QueueLimits(tokens=100))
    first = await bench.occupy(wait_until)
    waiting = bench.ask(*range(1, 10))
    await wait_until(lambda: bench.batcher.queued_cost == 90)
    with pytest.raises(OverloadedError) as caught:
        await bench.ask(1, 2)
    assert caught.value.retry_after_seconds > 0
    assert bench.heard.refusals == [("queue", 20)]
    bench.engine.allow(100)
    assert len(await waiting) == 9
    await first
    bench.batcher.close()


async def test_a_deadline_that_cannot_be_met_is_refused_at_once(
    bench: Bench, wait_until: Wait
) -> None:
    for number in range(10):  # each batch takes ten seconds
        call = bench.ask(number)
        await wait_until(lambda number=number: len(bench.engine.batches) == number + 1)
        bench.now += 10
        bench.engine.allow(1)
        await call
    busy = bench.ask(99)
    await wait_until(lambda: len(bench.engine.batches) == 11)
    with pytest.raises(OverloadedError, match="deadline"):
        await bench.ask(1, deadline=bench.now + 13)
    assert bench.heard.refusals == [("deadline", 10)]
    met = bench.ask(1, deadline=bench.now + 30)
    await wait_until(lambda: bench.batcher.queued == 1)
    bench.engine.allow(10)
    assert await met == [2]
    await busy


async def test_calls_like_a_refused_one_are_refused_unread_while_all_workers_are_busy(
    bench: Bench, wait_until: Wait
) -> None:
    for number in range(10):  # each batch takes ten seconds
        call = bench.ask(number)
        await wait_until(lambda number=number: len(bench.engine.batches) == number + 1)
        bench.now += 10
        bench.engine.allow(1)
        await call
    caller = Caller(client="one", deadline=bench.now + 13)
    bench.batcher.check_load(caller)
    busy = bench.ask(99)
    await wait_until(lambda: len(bench.engine.batches) == 11)
    bench.batcher.check_load(caller)  # nothing was refused yet
    with pytest.raises(OverloadedError, match="deadline"):
        await bench.ask(1, deadline=bench.now + 13)
    with pytest.raises(OverloadedError, match="too long"):
        bench.batcher.check_load(caller)
    bench.batcher.check_load(Caller(client="another", deadline=bench.now + 13))
    assert bench.heard.refusals == [("deadline", 10), ("unread", 0)]
    bench.engine.allow(10)
    await busy
    bench.batcher.check_load(caller)  # a worker is free


async def test_a_client_over_its_quota_is_refused_and_no_other(wait_until: Wait) -> None:
    bench = Bench(quota=ClientQuota(tokens_per_second=10.0, burst_seconds=3.0))
    bench.engine.allow(100)
    assert await bench.ask(1, 2, 3) == [2, 4, 6]
    with pytest.raises(QuotaExceededError) as caught:
        await bench.ask(1)
    assert await bench.ask(1, client="two") == [2]
    bench.now += caught.value.retry_after_seconds
    assert await bench.ask(1) == [2]
    assert bench.heard.refusals == [("quota", 10)]
    bench.batcher.close()


async def test_after_a_batch_of_several_calls_the_next_waits_for_them_a_little(
    bench: Bench, wait_until: Wait
) -> None:
    both = [bench.ask(1), bench.ask(2)]
    await wait_until(lambda: len(bench.engine.batches) == 1)
    bench.now += 2.0  # so the next may wait for a tenth of a second, at most 50 ms
    bench.engine.allow(1)
    await asyncio.gather(*both)
    again = bench.ask(3)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(bench.engine.batches) == 1
    more = bench.ask(4)  # now both are back: nothing to wait for
    bench.engine.allow(1)
    assert list(await asyncio.gather(again, more)) == [[6], [8]]
    assert bench.engine.batches[1:] == [[3, 4]]


async def test_closing_ends_all_that_waits_and_runs(bench: Bench, wait_until: Wait) -> None:
    bench.engine.steps_a_batch = 100
    running = await bench.occupy(wait_until)
    waiting = bench.ask(1)
    await wait_until(lambda: bench.batcher.queued == 1)
    bench.batcher.close()
    bench.engine.allow(1)
    for call in (running, waiting):
        with pytest.raises(WorkCancelledError):
            await call
    with pytest.raises(OverloadedError):
        await bench.ask(2)
    await wait_until(lambda: bench.batcher.running == 0)


async def test_any_mixture_of_calls_gets_each_its_own_answers(wait_until: Wait) -> None:
    bench = Bench()
    bench.engine.allow(10_000)
    calls = [
        bench.ask(
            *range(20 + number, 20 + number + number % 7 + 1),
            client=str(number % 5), options=str(number % 3), cost=1 + number * 37 % 400,
        )
        for number in range(60)
    ]  # fmt: skip
    for number in range(0, 60, 9):
        calls[number].cancel()
    for number, call in enumerate(calls):
        with suppress(asyncio.CancelledError):
            expected = range(20 + number, 20 + number + number % 7 + 1)
            assert await call == [2 * one for one in expected]
            assert number % 9
    bench.batcher.close()
