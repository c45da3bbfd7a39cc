"""A free worker waits for callers who come again only while they come, and not for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman_server.batching.gathering import Gathering


def after_a_batch(calls: int = 64, share: float = 0.25) -> Gathering:
    gathering = Gathering(share)
    gathering.batch_ended(calls, 0.2, 100.0)  # looks every 0.01 s
    return gathering


def test_it_begins_when_all_have_come_or_after_a_single_call() -> None:
    assert after_a_batch().left(64, 100.0) == 0
    assert after_a_batch(calls=1).left(1, 100.0) == 0
    assert Gathering(0.25).left(1, 100.0) == 0


def test_it_begins_when_nobody_came_from_one_look_to_the_next() -> None:
    gathering = after_a_batch()
    assert gathering.left(3, 100.0) > 0
    assert gathering.left(3, 100.0101) > 0  # three came
    assert gathering.left(3, 100.0202) == 0


def test_whoever_comes_later_is_not_waited_for() -> None:
    gathering = after_a_batch()
    gathering.batch_begins()
    assert gathering.left(1, 100.0) == 0


@given(share=st.floats(0.0, 1.0), rate=st.floats(0.0, 10_000.0))
def test_it_never_waits_longer_than_its_share(share: float, rate: float) -> None:
    gathering = after_a_batch(calls=10_000, share=share)
    now, looks = 100.0, 0
    while (left := gathering.left(int((now - 100.0) * rate) + 1, now)) > 0:
        now += left
        looks += 1
        assert looks < 1_000
    assert now - 100.0 <= 0.2 * max(share, 0.05) + 1e-6
