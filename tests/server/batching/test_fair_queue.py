"""What waits is shared equally by cost, in batches of one lane, and none is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_server.batching.engine import Lane, Work
from dragoman_server.batching.fair_queue import BatchLimits, FairQueue, Flow, Item, length_band

LIMITS = BatchLimits(items=8, cost=100)


def lane(name: str = "a") -> Lane:
    engine: Any = None  # nothing is run here
    return Lane(key=name, engine=engine, kind=f"kind of {name}")


def works(count: int, cost: int = 10, length: int = 1) -> list[Work]:
    return [Work(payload=number, cost=cost, length=length) for number in range(count)]


def taken_cost(batch: Sequence[Item]) -> Counter[str]:
    costs: Counter[str] = Counter()
    for item in batch:
        costs[item.flow.client] += item.work.cost
    return costs


@pytest.mark.parametrize("same_client", [True, False])
@pytest.mark.parametrize("same_lane", [True, False])
def test_a_long_job_delays_no_single_by_more_than_one_batch(
    same_client: bool, same_lane: bool
) -> None:
    queue, numbers = FairQueue(LIMITS), random.Random(3)
    queue.add(Flow("long", lane("a")), works(10_000), 0.0)
    at_once = 0
    for _ in range(300):
        pause = numbers.randrange(4)
        for _ in range(pause):
            assert queue.take()
        client = "long" if same_client else f"client {numbers.randrange(50)}"
        single = Flow(client, lane("a" if same_lane else "b"))
        queue.add(single, works(1, cost=numbers.randrange(1, 20)), 0.0)
        if single in {item.flow for item in queue.take()}:
            at_once += 1
        else:
            assert pause == 0  # where singles are rare, each is in the very next batch
            assert single in {item.flow for item in queue.take()}
    assert at_once > 200


def test_a_job_is_not_starved_by_a_steady_flow_of_its_own_client_s_singles() -> None:
    queue = FairQueue(LIMITS)
    job = Flow("one", lane("job"))
    queue.add(job, works(1_000), 0.0)
    for _ in range(200):
        for _ in range(20):  # as much as fills two batches: more than can be worked on
            queue.add(Flow("one", lane("singles")), works(1), 0.0)
        queue.take()
    assert job.count < 1_000


@given(
    costs=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    lanes=st.integers(1, 3),
    calls=st.integers(1, 4),
)
def test_clients_with_work_waiting_get_equal_shares(
    costs: list[int], lanes: int, calls: int
) -> None:
    """Whatever their items cost and however many calls they make, after any number of batches."""
    queue = FairQueue(LIMITS)
    for number, cost in enumerate(costs):
        for call in range(calls):
            flow = Flow(str(number), lane(str((number + call) % lanes)))
            queue.add(flow, works(200, cost), 0.0)
    served: Counter[str] = Counter({str(number): 0 for number in range(len(costs))})
    for _ in range(60):
        served += taken_cost(queue.take())
        if any(served[str(number)] == 200 * calls * cost for number, cost in enumerate(costs)):
            break  # who has no work left gets no share
        shares = [served[str(number)] for number in range(len(costs))]
        # A batch of a lane goes to those who have it alone, so all may differ by one batch.
        assert max(shares) - min(shares) <= LIMITS.cost + 2 * max(costs)


def test_who_was_idle_has_saved_nothing_up() -> None:
    queue = FairQueue(LIMITS)
    queue.add(Flow("idle", lane()), works(1), 0.0)
    queue.add(Flow("busy", lane()), works(1_000), 0.0)
    for _ in range(50):
        queue.take()
    queue.add(Flow("idle", lane()), works(1_000), 0.0)
    served: Counter[str] = Counter()
    for _ in range(10):
        served += taken_cost(queue.take())
    assert abs(served["idle"] - served["busy"]) <= 20


def test_short_and_long_texts_do_not_share_a_batch() -> None:
    assert [length_band(n) for n in (1, 64, 65, 256, 257, 1_024, 1_025)] == [0, 0, 1, 1, 2, 2, 3]
    queue = FairQueue(LIMITS)
    mixed = [Work(payload=n, length=n) for n in (5, 300, 64, 100, 1)]
    queue.add(Flow("one", lane()), mixed, 0.0)
    batches = [[item.work.payload for item in queue.take()] for _ in range(3)]
    assert sorted(batches) == [[5, 64, 1], [100], [300]]


def test_what_is_larger_than_a_batch_goes_alone() -> None:
    queue = FairQueue(LIMITS)
    queue.add(Flow("one", lane()), [*works(1, cost=1_000), *works(2)], 0.0)
    assert [[item.work.cost for item in queue.take()] for _ in range(2)] == [[1_000], [10, 10]]


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"), st.integers(0, 3), st.integers(0, 2), st.integers(0, 12),
            st.integers(1, 150), st.sampled_from([1, 80, 500]),
        ),
        st.tuples(st.just("more"), st.integers(0, 30), st.integers(1, 5)),
        st.tuples(st.just("take")),
        st.tuples(st.just("remove"), st.integers(0, 30)),
    ),
    max_size=60,
)  # fmt: skip


@given(STEPS)
def test_every_item_is_taken_once_or_removed_and_batches_hold_what_they_may(
    steps: list[tuple[Any, ...]],
) -> None:
    queue, flows = FairQueue(LIMITS), list[Flow]()
    waiting: set[Item] = set()

    def check(batch: list[Item]) -> None:
        assert set(batch) <= waiting
        waiting.difference_update(batch)
        cost = sum(item.work.cost for item in batch)
        assert len(batch) == 1 or (len(batch) <= LIMITS.items and cost <= LIMITS.cost)
        assert len({item.flow.lane.key for item in batch}) <= 1
        assert len({length_band(item.work.length) for item in batch}) <= 1

    for step in steps:
        if step[0] == "add":
            _, client, key, count, cost, length = step
            flows.append(Flow(str(client), lane(str(key))))
            waiting.update(queue.add(flows[-1], works(count, cost, length), 0.0))
        elif step[0] == "more" and step[1] < len(flows):  # as a stream does
            waiting.update(queue.add(flows[step[1]], works(step[2]), 0.0))
        elif step[0] == "take":
            assert bool(waiting) == bool(queue.calls)
            check(batch) if (batch := queue.take()) else None
        elif step[0] == "remove" and step[1] < len(flows):
            waiting.difference_update(queue.remove(flows[step[1]]))
        assert queue.cost == sum(item.work.cost for item in waiting)
        assert queue.calls == len({item.flow for item in waiting})
        assert queue.cost == sum(kind.cost for kind in queue.kinds.values())
    while batch := queue.take():
        check(batch)
    assert not waiting
    assert not queue.kinds


def test_the_work_before_a_call_s_end_at_equal_shares() -> None:
    queue = FairQueue(LIMITS)
    queue.add(Flow("long", lane()), works(100), 0.0)
    queue.add(Flow("short", lane()), works(1), 0.0)
    fresh = Flow("fresh", lane())
    assert queue.cost_before(fresh, 30) == 30 + 30 + 10
    assert queue.cost_before(Flow("long", lane()), 30) == (30 + 30) + 10
    assert queue.cost_before(fresh, 10_000) == 10_000 + 1_000 + 10
