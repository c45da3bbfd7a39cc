"""A call has its time; a stream has it anew with each answer."""

from __future__ import annotations

import asyncio

import pytest

from dragoman_server import call_deadline
from dragoman_server.errors import DeadlinePassedError


async def overstay(seconds: float, *, renewed: bool) -> None:
    async with call_deadline.bounded(seconds):
        if renewed:
            call_deadline.renew()
        await asyncio.sleep(60)


async def test_what_takes_longer_is_ended_and_says_how_long_it_may_take() -> None:
    with pytest.raises(DeadlinePassedError, match=r"the call took 0\.01 s.*; send less at once"):
        await overstay(0.01, renewed=False)
    with pytest.raises(DeadlinePassedError, match=r"the stream gave no answer for 0\.01 s"):
        await overstay(0.01, renewed=True)


async def test_renewing_moves_the_end_by_the_time_that_has_passed() -> None:
    loop = asyncio.get_running_loop()
    async with call_deadline.bounded(1_000):
        bound = call_deadline._current.get()
        assert bound is not None
        first = bound.timeout.when()
        assert first is not None
        await asyncio.sleep(0.02)
        now = loop.time()
        call_deadline.renew()
        second = bound.timeout.when()
        assert second is not None
        assert second >= now + 1_000 > first


async def test_another_timeout_inside_is_not_taken_for_the_servers() -> None:
    async def inner() -> None:
        async with call_deadline.bounded(1_000):
            raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="of something else"):
        await inner()


async def test_renewing_outside_a_call_does_nothing() -> None:
    call_deadline.renew()
