"""How fast work is done, as measured: the time that a batch takes is fitted by a + b * cost."""

import math
from dataclasses import dataclass

_MEMORY = 0.9  # weight of a batch after each later one: about the last ten count
_MOST_KINDS = 1_000


@dataclass
class _Fit:
    """Sums of a least-squares line through (cost, seconds), the older the lighter."""

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def add(self, cost: float, seconds: float) -> None:
        self.n = self.n * _MEMORY + 1.0
        self.x = self.x * _MEMORY + cost
        self.y = self.y * _MEMORY + seconds
        self.xx = self.xx * _MEMORY + cost * cost
        self.xy = self.xy * _MEMORY + cost * seconds

    def line(self) -> tuple[float, float]:
        """a and b, neither below 0. Where all costs were about alike, b is 0: how much longer a
        larger batch takes is not known, and nobody is refused on a guess."""
        mean_cost, mean_seconds = self.x / self.n, self.y / self.n
        variance = self.xx / self.n - mean_cost**2
        slope = 0.0
        if variance > 0.01 * mean_cost**2:
            slope = (self.xy / self.n - mean_cost * mean_seconds) / variance
        slope = min(max(slope, 0.0), mean_seconds / mean_cost)
        return mean_seconds - slope * mean_cost, slope


class DrainRates:
    """The lines of all kinds of work."""

    def __init__(self) -> None:
        self._fits: dict[str, _Fit] = {}

    def measured(self, kind: str, cost: int, seconds: float) -> None:
        """A batch of `kind` that cost so many tokens took so long."""
        fit = self._fits.pop(kind, None) or _Fit()
        fit.add(cost, seconds)
        self._fits[kind] = fit  # the newest last
        if len(self._fits) > _MOST_KINDS:
            del self._fits[next(iter(self._fits))]

    def seconds(self, kind: str, cost: float, batches: float = 1) -> float:
        """How long one worker takes for that; 0 where the kind has not been measured."""
        fit = self._fits.get(kind)
        if fit is None:
            return 0.0
        fixed, per_token = fit.line()
        return batches * fixed + cost * per_token


def batches_of(cost: int, items: int, lanes: int, *, most_cost: int, most_items: int) -> int:
    """The fewest batches that hold so much work."""
    return max(math.ceil(cost / most_cost), math.ceil(items / most_items), lanes)
