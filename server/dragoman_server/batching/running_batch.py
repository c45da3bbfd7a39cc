"""A batch in a worker's thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman_server.batching.fair_queue import Flow, Item


@dataclass(frozen=True)
class Failure:
    """The outcome of an item whose whole call is to fail by `error`."""

    error: BaseException


class RunningBatch:
    """Items of one lane, and what became of them."""

    def __init__(self, items: Sequence[Item], *, started: float) -> None:
        self.items = items
        self.started = self.ended = started
        self.kind = items[0].flow.lane.kind
        self.cost = sum(item.work.cost for item in items)
        self.outcomes: list[Any] = [None] * len(items)
        self.failed = False
        self._flows: dict[Flow, list[int]] = {}
        for index, item in enumerate(items):
            self._flows.setdefault(item.flow, []).append(index)

    @property
    def calls(self) -> int:
        """How many calls have items in it."""
        return len(self._flows)

    def cancel(self) -> None:
        """End the work on all items at the next step."""
        for flow in self._flows:
            flow.cancelled = True

    def run(self) -> None:
        """Fills in the outcomes; raises nothing.

        Where the engine raises, each call's items are run once more by themselves, so that what is
        wrong with one call does not end the others.
        """
        everything = list(range(len(self.items)))
        if self._run(everything) and len(self._flows) > 1:
            for indices in self._flows.values():
                self._run(indices)

    def _run(self, indices: list[int]) -> bool:
        """Whether the engine raised."""
        items = [self.items[index] for index in indices]
        outcomes: Sequence[Any]
        try:
            outcomes = items[0].flow.lane.engine.run(
                [item.work.payload for item in items], lambda index: items[index].flow.is_over()
            )
            if len(outcomes) != len(items):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(items)} items")
        except BaseException as error:  # every caller must hear of it, whatever it is
            outcomes = [Failure(error)] * len(items)
            self.failed = True
            raised = True
        else:
            raised = False
        for index, outcome in zip(indices, outcomes, strict=True):
            self.outcomes[index] = outcome
        return raised
