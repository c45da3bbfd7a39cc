"""What a batcher tells about its work, to metrics or to a test."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class BatchRecord:
    """A batch that has ended.

    Attributes:
        kind: such as "Translate fr-en/1".
        items, calls: how many, and of how many calls.
        cost: tokens, as estimated at admission.
        queue_seconds: for each item how long it waited.
        model_seconds: from the batch's start in its thread until its end.
        cancelled: items whose call had gone or was late by the end.
        failed: whether the engine raised.
    """

    kind: str
    items: int
    calls: int
    cost: int
    queue_seconds: tuple[float, ...]
    model_seconds: float
    cancelled: int
    failed: bool


class BatchObserver(Protocol):
    """Called in the event loop; it must return at once and raise nothing."""

    def batch_ended(self, record: BatchRecord) -> None: ...

    def shed(self, kind: str, reason: str, cost: int) -> None:
        """A call was refused; `reason` is one of "queue", "deadline", "quota", "stopping"
        and "unread"; in the last case `kind` is the method's name, and its cost is not known."""
        ...

    def expired(self, kind: str, items: int) -> None:
        """Items whose deadline passed while they waited; they were never started."""
        ...


class NoObserver:
    """Hears everything and tells nobody."""

    def batch_ended(self, record: BatchRecord) -> None:
        pass

    def shed(self, kind: str, reason: str, cost: int) -> None:
        pass

    def expired(self, kind: str, items: int) -> None:
        pass
