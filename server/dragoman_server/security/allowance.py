"""A quota a minute, as a bucket that fills evenly (the "token bucket" of networks)."""

import time
from collections.abc import Callable


class Allowance:
    """Lets `per_minute` units through in a minute, all at once where none were taken before."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._left = float(per_minute)
        self._filled = clock()

    def take(self, units: int) -> float:
        """Take so many units, and give 0; or none, and give the seconds until there are enough.

        More than a whole minute's units never are: infinity.
        """
        now = self._clock()
        rate = self.per_minute / 60
        self._left = min(self._left + (now - self._filled) * rate, float(self.per_minute))
        self._filled = now
        if units > self.per_minute:
            return float("inf")
        missing = units - self._left
        if missing > 0:
            return missing / rate
        self._left -= units
        return 0.0
