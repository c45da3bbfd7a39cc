"""Rates are measured, queues are bounded, and no deadline is promised that cannot be met."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import OverloadedError
from dragoman_server.batching.admission import Admission, QueueLimits, Refusal
from dragoman_server.batching.drain_rate import DrainRates
from dragoman_server.batching.engine import Lane, Work
from dragoman_server.batching.fair_queue import BatchLimits, FairQueue, Flow
from dragoman_server.batching.quotas import ClientQuota, ClientQuotas
from dragoman_server.caller import Caller
from dragoman_server.errors import QuotaExceededError


@given(
    fixed=st.floats(0.001, 1.0), per_token=st.floats(0.0, 0.01), costs=st.sets(
        st.integers(1, 20_000), min_size=3, max_size=20),
)  # fmt: skip
def test_a_line_through_what_was_measured_is_found(
    fixed: float, per_token: float, costs: set[int]
) -> None:
    if max(costs) < 2 * min(costs):
        costs = {*costs, 3 * max(costs)}
    rates = DrainRates()
    for cost in costs:
        rates.measured("kind", cost, fixed + per_token * cost)
    for cost in (min(costs), max(costs)):
        assert rates.seconds("kind", cost) == pytest.approx(fixed + per_token * cost, rel=0.02)


def test_nothing_is_guessed_about_what_was_never_measured() -> None:
    rates = DrainRates()
    assert rates.seconds("kind", 1_000) == 0.0
    for _ in range(5):
        rates.measured("kind", 100, 0.04)
    # Only batches of one size: no larger one is known to take longer.
    assert rates.seconds("kind", 6_400) == pytest.approx(0.04)
    assert rates.seconds("kind", 6_400, batches=3) == pytest.approx(0.12)


ENGINE: Any = None
LANE = Lane(key="a", engine=ENGINE, kind="kind")


class Situation:
    """A queue, one worker that takes 1 s for a batch of up to 100 tokens, and it is busy."""

    def __init__(self, **limits: int) -> None:
        self.queue = FairQueue(BatchLimits(items=10, cost=100))
        self.admission = Admission("tests", QueueLimits(**limits), workers=1)
        for _ in range(10):
            self.admission.rates.measured("kind", 100, 1.0)

    def wait(self, client: str, items: int, cost: int = 10) -> None:
        self.queue.add(Flow(client, LANE), [Work(payload=0, cost=cost)] * items, 0.0)

    def ask(
        self, client: str = "fresh", items: int = 1, *, left: float | None = None, idle: int = 0
    ) -> Refusal | None:
        return self.admission.refusal(
            self.queue, Flow(client, LANE), 10 * items, items,
            caller=Caller(client=client, deadline=None if left is None else 100.0 + left),
            idle=idle, busy_seconds=lambda: 0.5, now=100.0,
        )  # fmt: skip


def test_the_queue_is_bounded_by_tokens_and_by_calls() -> None:
    full = Situation(tokens=1_000, calls=50)
    full.wait("one", 100)
    refusal = full.ask()
    assert refusal is not None
    assert refusal.reason == "queue"
    assert full.ask(items=100) is not None
    many = Situation(tokens=1_000, calls=2)
    many.wait("one", 1)
    assert many.ask() is None
    many.wait("two", 1)
    assert many.ask() is not None
    assert many.ask(idle=1) is None  # there is a worker for it at once


def test_a_call_larger_than_the_queue_is_let_in_when_nothing_waits() -> None:
    situation = Situation(tokens=50)
    assert situation.ask(items=100) is None
    situation.wait("one", 1)
    assert situation.ask(items=100) is not None


def test_a_deadline_that_the_measured_rate_cannot_meet_is_refused_at_once() -> None:
    situation = Situation()
    situation.wait("one", 100)  # ten batches of a second
    assert situation.ask("one", 100, left=5.0) is not None
    assert situation.ask("one", 100, left=32.0) is None
    assert situation.ask("one", 100) is None  # no deadline
    # A small call of another client has its share before the long one's end.
    assert situation.ask("two", 1, left=5.0) is None
    refusal = situation.ask("two", 1, left=0.4)
    assert refusal is not None
    assert refusal.reason == "deadline"
    assert isinstance(refusal.error, OverloadedError)


def test_a_refused_call_is_told_to_come_back_when_half_the_queue_is_worked_off() -> None:
    situation = Situation(tokens=1_000)
    situation.wait("one", 100)
    refusal = situation.ask()
    assert refusal is not None
    # Half a second of the running batch, and ten batches of a second that wait.
    assert refusal.error.retry_after_seconds == pytest.approx(10.5 / 2, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 50)), max_size=60))
def test_no_client_gets_more_than_its_rate_and_burst(asked: list[tuple[float, int]]) -> None:
    quotas = ClientQuotas(ClientQuota(tokens_per_second=10.0, burst_seconds=5.0))
    now, granted = 1_000.0, 0
    for number, (pause, cost) in enumerate(asked):
        now += pause
        try:
            quotas.take("one", cost, 0, now)
        except QuotaExceededError as error:
            # What it says is enough: then it is let in.
            waiter = ClientQuotas(ClientQuota(tokens_per_second=10.0, burst_seconds=5.0))
            waiter._paid = dict(quotas._paid)
            waiter.take("one", cost, 0, now + error.retry_after_seconds + 1e-6)
        else:
            granted += cost
        assert granted <= 10.0 * (now - 1_000.0) + 50 + 1e-6
        quotas.take(f"another {number}", 50, 0, now)  # nobody else's affair


def test_a_refusal_for_another_reason_is_not_counted() -> None:
    quotas = ClientQuotas(ClientQuota(tokens_per_second=1.0, burst_seconds=10.0))
    for _ in range(100):
        quotas.take("one", 10, 0, 5.0)
        quotas.give_back("one", 10)
    quotas.take("one", 10, 0, 5.0)
    with pytest.raises(QuotaExceededError):
        quotas.take("one", 10, 0, 5.0)


def test_a_client_s_waiting_tokens_are_bounded() -> None:
    quotas = ClientQuotas(ClientQuota(queued_tokens=100))
    quotas.take("one", 500, 0, 0.0)  # alone, whatever its size
    quotas.take("one", 40, 60, 0.0)
    with pytest.raises(QuotaExceededError, match="client one"):
        quotas.take("one", 41, 60, 0.0)


def test_time_that_answers_need_after_their_batch_is_left_for_them() -> None:
    situation = Situation()
    situation.wait("one", 20)  # two batches of a second, two of the call, half of one that runs
    assert situation.ask("one", 20, left=7.0) is None
    for _ in range(30):
        situation.admission.heard_late(0.5)
    refusal = situation.ask("one", 20, left=7.0)
    assert refusal is not None
    assert refusal.reason == "deadline"
