"""A call whose items share batches with those of other calls."""

import asyncio
from collections.abc import Callable
from typing import Any

from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.engine import Lane, Work

Wanted = Callable[[], bool]

# Few texts are counted in tokens faster than a thread is reached, in less than a millisecond; many
# would hold up every other call.
_FEW_CHARACTERS = 4_000


async def run_items(
    batcher: Batcher, lane: Lane, works: Callable[[Wanted], list[Work]], characters: int
) -> list[Any]:
    """The outcomes of the items that `works` makes, in order.

    Args:
        works: counts tokens; it is given a function that says whether they are still wanted, and
            may return anything once they are not.
        characters: of all items.
    Raises:
        OverloadedError, QuotaExceededError: the items may not wait; and what the engine raises.
    """
    async with batcher.call(lane) as call:
        if characters <= _FEW_CHARACTERS:
            return await call.run(works(lambda: True))
        call.check_room()
        return await call.run(await _off_the_loop(works))


async def _off_the_loop(works: Callable[[Wanted], list[Work]]) -> list[Work]:
    wanted = True
    try:
        # Not in a worker's thread: the batches that they run are no business of this call.
        return await asyncio.get_running_loop().run_in_executor(None, works, lambda: wanted)
    finally:
        wanted = False
