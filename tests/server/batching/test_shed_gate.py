"""After a refusal, calls like it are refused unread for a moment; no others are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import OverloadedError
from dragoman_server.batching.admission import Refusal
from dragoman_server.batching.shed_gate import ShedGate
from dragoman_server.caller import Caller


def caller(left: float | None = 2.0, client: str = "one", method: str = "/a/Translate") -> Caller:
    return Caller(client=client, method=method, deadline=None if left is None else 100.0 + left)


def refusal(reason: str = "deadline", wait: float = 2.0) -> Refusal:
    return Refusal(reason=reason, error=OverloadedError("full", 1.0), wait_seconds=wait)


def closed_gate(reason: str = "deadline", left: float | None = 2.0) -> ShedGate:
    gate = ShedGate("tests")
    for _ in range(10):
        gate.seen(caller(), 10)
    gate.refused(caller(left), 12, refusal(reason), 100.0)
    return gate


def test_calls_like_a_refused_one_are_refused_with_the_time_to_come_back() -> None:
    error = closed_gate().refusal(caller(), 100.1)
    assert error is not None
    assert error.retry_after_seconds == 0.9
    assert closed_gate("queue").refusal(caller(None), 100.1) is not None


def test_a_method_is_closed_as_long_as_it_is_for_any_client() -> None:
    gate = closed_gate()
    assert gate.closed("/a/Translate", 100.1)
    assert not gate.closed("/a/Embed", 100.1)
    assert not gate.closed("/a/Translate", 100.3)


def test_other_calls_are_judged_by_themselves() -> None:
    gate = closed_gate()
    for other in (
        caller(client="two"),
        caller(method="/a/Embed"),
        caller(left=4.0),
        caller(left=None),
    ):
        assert gate.refusal(other, 100.1) is None


@given(wait=st.floats(0.0, 100.0), passed=st.floats(0.0, 100.0))
def test_it_opens_before_the_workers_could_run_out_of_work(wait: float, passed: float) -> None:
    gate = closed_gate()
    gate.refused(caller(), 12, refusal(wait=wait), 100.0)
    shut = gate.refusal(caller(), 100.0 + passed) is not None
    assert shut == (100.0 + passed < 100.0 + min(0.1 * wait, 0.25))


def test_a_large_call_that_is_refused_closes_nothing_for_small_ones() -> None:
    gate = ShedGate("tests")
    for _ in range(10):
        gate.seen(caller(), 10)
    gate.refused(caller(), 41, refusal(), 100.0)
    assert gate.refusal(caller(), 100.1) is None


def test_nothing_is_closed_before_it_is_known_what_is_large() -> None:
    gate = ShedGate("tests")
    gate.seen(caller(), 1_000)
    gate.refused(caller(), 1_000, refusal(), 100.0)
    assert gate.refusal(caller(), 100.1) is None
