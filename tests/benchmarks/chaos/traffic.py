"""Mixed calls while a fault happens: each must end in time, as it may end, and rightly."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.benchmarks.serving.mixed_calls import MIXED_CALLS, NEVER_AGAIN, MixedCall, mixed_call

from dragoman_client import AsyncClient, DragomanClientError, Retries

_NUMBERS = 100
_HANGING = 60.0  # seconds after its deadline


class References:
    """The answers of a server that nothing happens to."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Any] = {}

    async def learn(self, address: str) -> None:
        """Ask everything once, one by one."""
        async with AsyncClient(address) as client:
            for number in range(_NUMBERS):
                kind = mixed_call(number)
                if kind.repeats:
                    self._known[kind.name, number] = await kind.make(client, number, 300.0)

    def is_right(self, kind: MixedCall, number: int, answer: object) -> bool:
        """Whether that is the answer; of what is drawn at random, any is."""
        return not kind.repeats or self._known.get((kind.name, number), answer) == answer


class Traffic:
    """Callers that each make one mixed call after the other."""

    def __init__(
        self, address: str, references: References, *, deadline: float = 60.0,
        retries: Retries = NEVER_AGAIN,
    ) -> None:  # fmt: skip
        self.outcomes: Counter[str] = Counter()
        self.lost: list[str] = []
        self._address = address
        self._references = references
        self._deadline = deadline
        self._retries = retries
        self._number = 0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ended(self) -> int:
        """Calls so far."""
        return self.outcomes.total()

    def said(self) -> str:
        """How many ended how."""
        return ", ".join(f"{count:,} {code}" for code, count in self.outcomes.most_common())

    def unexpected(self, *allowed: str) -> dict[str, int]:
        """What ended otherwise than with OK and those."""
        return {code: n for code, n in self.outcomes.items() if code not in ("OK", *allowed)}

    @asynccontextmanager
    async def going_on(self, callers: int = 8) -> AsyncIterator[Traffic]:
        """Calls until the end of the `async with`; then all that are open are waited for."""
        self._tasks = [asyncio.create_task(self._caller()) for _ in range(callers)]
        try:
            yield self
        finally:
            await self.finish()

    async def until_answered(self, more: int, seconds: float = 240.0) -> None:
        """Until so many calls more were answered, or for so long."""
        count = self.outcomes["OK"] + more
        began = time.monotonic()
        while self.outcomes["OK"] < count and time.monotonic() - began < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def finish(self) -> None:
        """Make no more calls, and wait for those that are open."""
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _caller(self) -> None:
        async with AsyncClient(self._address, retries=self._retries) as client:
            while not self._over:
                self._number += 1
                await self.one(client, self._number % _NUMBERS)

    async def one(self, client: AsyncClient, number: int) -> str:
        """One call; the name of its status."""
        kind = mixed_call(number)
        code = "OK"
        try:
            async with asyncio.timeout(self._deadline + _HANGING):
                answer = await kind.make(client, number, self._deadline)
            if not self._references.is_right(kind, number, answer):
                code = "WRONG"
                self.lost.append(f"{kind.name} {number} was answered wrongly: {answer!r}"[:200])
        except DragomanClientError as error:
            code = error.code.name
            if code != "OK" and code in ("INTERNAL", "UNKNOWN", "DATA_LOSS"):
                self.lost.append(f"{kind.name} {number}: {code} {error}"[:200])
        except TimeoutError:
            code = "HUNG"
            self.lost.append(f"{kind.name} {number} did not end")
        self.outcomes[code] += 1
        return code


async def all_is_well(address: str, references: References) -> list[str]:
    """Makes each kind of call once more; what is wrong, or nothing."""
    traffic = Traffic(address, references, deadline=120.0, retries=Retries())
    async with AsyncClient(address) as client:
        for number in _one_of_each(range(_NUMBERS)):
            await traffic.one(client, number)
    return [*traffic.lost, *(f"a call ended {code}" for code in traffic.unexpected())]


def _one_of_each(numbers: Iterable[int]) -> list[int]:
    found: dict[str, int] = {}
    for number in numbers:
        found.setdefault(mixed_call(number).name, number)
    if len(found) != len(MIXED_CALLS):
        raise AssertionError("a kind of call is missing")
    return list(found.values())
