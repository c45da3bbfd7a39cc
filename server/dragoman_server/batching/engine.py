"""What a batch is run by, and what says which work may stand in one batch."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Cancelled = Callable[[int], bool]


class Engine(Protocol):
    """Runs batches of work for one model version with one set of options.

    It is called from a worker's thread, and from several at once. What stands behind it may be the
    model itself or another process, so payloads and outcomes should be values that can be pickled.
    """

    def run(self, payloads: Sequence[Any], cancelled: Cancelled) -> Sequence[Any]:
        """One outcome for each payload, in order; the error of a single item is an outcome too.

        `cancelled(index)` is to be asked at each step of the work; once it is True it stays so, and
        the item's outcome is not looked at. Whatever is raised ends the calls of all items.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What the items of a call have in common. Work of lanes with equal keys may share a batch.

    Attributes:
        key: model version and options, all that the engine's answers depend on but the payload.
        engine: does the work; those of equal keys are interchangeable.
        kind: what is measured together, such as "Translate fr-en/1".
        max_items: the most items of a batch; None for the batcher's own limit.
    """

    key: Hashable
    engine: Engine
    kind: str
    max_items: int | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """One item of a call.

    Attributes:
        payload: what the engine gets.
        cost: in tokens, or what takes about as long; at least 1.
        length: tokens of its text; much longer and much shorter items do not share a batch.
    """

    payload: Any
    cost: int = 1
    length: int = 1
