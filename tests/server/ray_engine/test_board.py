"""What a front end pins up for its replicas."""

from __future__ import annotations

import asyncio

import pytest

from dragoman_server.ray_engine import board as board_module
from dragoman_server.ray_engine.board import Board, Dropped, Forgotten
from dragoman_server.ray_engine.dropped_items import DroppedItems
from dragoman_server.workers.messages import Reply


async def test_notices_come_once_and_in_order() -> None:
    board = Board()
    await board.drop("a", (0, 2))
    await board.drop("b", (1,))
    seen, notices = await board.after(0)
    assert notices == [Dropped("a", (0, 2)), Dropped("b", (1,))]
    waiting = asyncio.create_task(board.after(seen))
    await asyncio.sleep(0)
    assert not waiting.done()
    await board.remove(7)
    seen, notices = await waiting
    assert (seen, notices) == (3, [Forgotten(7)])


async def test_every_replica_hears_of_every_notice() -> None:
    board = Board()
    waiting = [asyncio.create_task(board.after(0)) for _ in range(3)]
    await asyncio.sleep(0)
    await board.drop("a", (0,))
    assert [await one for one in waiting] == [(1, [Dropped("a", (0,))])] * 3


async def test_a_wait_ends_without_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "_LONGEST_WAIT_SECONDS", 0.01)
    assert await Board().after(0) == (0, [])


async def test_old_notices_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "_MOST_NOTICES", 2)
    board = Board()
    for call in "abcd":
        await board.drop(call, (0,))
    assert await board.after(1) == (4, [Dropped("c", (0,)), Dropped("d", (0,))])


async def test_a_bundle_is_there_until_its_model_leaves() -> None:
    board = Board()
    await board.add(1, ["reference"])
    assert await board.bundle(1) == ["reference"]
    first = asyncio.create_task(board.first_report(1))
    await asyncio.sleep(0)
    await board.report(1, Reply(value="first"))
    await board.report(1, Reply(value="second"))
    assert (await first).value == "first"
    await board.remove(1)
    assert await board.bundle(1) == []
    await board.report(1, Reply())  # of a replica that started too late


def test_items_are_dropped_before_and_during_a_call() -> None:
    dropped = DroppedItems()
    dropped.note("a", [1])
    items = dropped.of("a")
    assert (0 in items, 1 in items) == (False, True)
    dropped.note("a", [0])
    assert 0 in items
    other = dropped.of("b")
    assert 0 not in other
    dropped.add_everything()
    assert 0 in other
    assert 5 in dropped.of("c")


def test_notices_of_calls_that_have_ended_do_not_pile_up() -> None:
    dropped = DroppedItems()
    for number in range(30_000):
        dropped.of(str(number))
        dropped.forget(str(number))
        dropped.note(str(number), [0])
    assert len(dropped._calls) == 10_000
    assert not dropped._running
