"""What every fault is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.chaos.server_process import ServerProcess
from tests.benchmarks.chaos.traffic import References


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Attributes:
    server: the one that most faults happen to, one after the other.
    repository: a folder that it watches.
    references: what its answers must be.
    scale: 1 for the whole program; less makes everything shorter and smaller.
    """

    server: ServerProcess
    repository: Path
    references: References
    scale: float

    def many(self, count: int) -> int:
        """That many at full scale."""
        return max(1, round(count * self.scale))
