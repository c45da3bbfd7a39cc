"""Turns give whoever a search of all who wait would find."""

from __future__ import annotations

import random
from collections import Counter

from dragoman_server.batching.turns import Turns


class Waiter:
    def __init__(self, order: float) -> None:
        self.start = order
        self.items: Counter[int] = Counter()

    @property
    def order(self) -> tuple[float, int]:
        return self.start, 0

    def has_waiting(self, band: int) -> bool:
        return self.items[band] > 0


def test_the_first_is_always_one_that_a_search_of_all_would_find() -> None:
    draw = random.Random(1)
    turns: Turns[Waiter] = Turns()
    everybody: list[Waiter] = []
    for _ in range(5_000):
        band, key = draw.randrange(2), "lane"
        waiting = [one for one in everybody if one.has_waiting(band)]
        found = turns.first((key, band))
        assert (found is None) == (not waiting)
        if found is not None:
            assert found.order == min(one.order for one in waiting)
        chance = draw.random()
        if chance < 0.4:  # somebody comes, perhaps again
            one = draw.choice(everybody) if everybody and chance < 0.2 else Waiter(draw.random())
            everybody.append(one) if one not in everybody else None
            if not one.has_waiting(band):
                one.items[band] += draw.randrange(1, 4)
                turns.enter((key, band), one)
        elif chance < 0.8 and found is not None:  # the first is served
            found.items[band] -= 1
            found.start += draw.random()
            turns.served((key, band))
        elif everybody:  # somebody leaves
            draw.choice(everybody).items.clear()
    both = [one for one in everybody if one.has_waiting(0) or one.has_waiting(1)]
    first = turns.first_of_all()
    assert first is not None
    assert first.order == min(one.order for one in both)
    turns.clear()
    assert turns.first_of_all() is None
