"""A loop that draws for many callers tells each of them whatever ends its work."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from dragoman_models.errors import OverloadedError
from dragoman_server.generation_loop import Drawing, GenerationLoop

PATIENCE = 60


class Engine:
    """Draws nothing, and fails when it is told to."""

    active = 1

    def __init__(self, fails_at: str) -> None:
        self._fails_at = fails_at

    def join(self, *_: Any, **__: Any) -> list[Any]:
        self._fail("join")
        return []

    def leave(self, _: Any) -> None:
        pass

    def step(self) -> list[Any]:
        self._fail("step")
        return []

    def _fail(self, where: str) -> None:
        if where == self._fails_at:
            raise OverloadedError(f"no process at {where}", 1.0)


class Model:
    """Has no engine to give while there is no process that could hold it."""

    fails_at = "engine"

    def engine(self) -> Engine:
        if self.fails_at == "engine":
            raise OverloadedError("no process at engine", 1.0)
        return Engine(self.fails_at)


def drawing(told: queue.SimpleQueue[Any]) -> Drawing:
    options: Any = None
    return Drawing(
        prompt="a", tokens=(), options=options, seed=1, samples=1, deliver=told.put
    )  # fmt: skip


@pytest.mark.parametrize("fails_at", ["engine", "join", "step"])
def test_every_caller_hears_of_what_ends_its_work_and_others_may_come(fails_at: str) -> None:
    model: Any = Model()
    loop = GenerationLoop(model, most_samples=2)
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(3):
        model.fails_at = fails_at
        loop.join(drawing(told))
        with pytest.raises(OverloadedError, match=fails_at):
            raise told.get(timeout=PATIENCE)
        assert loop.samples == 0
