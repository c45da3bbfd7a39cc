"""Which of a request's items somebody still waits for."""

from collections.abc import Callable


class Wanted:
    """Which of the items of a request are still wanted, as their caller tells when asked."""

    def __init__(self, count: int, is_cancelled: Callable[[int], bool]) -> None:
        self.count = count
        self._open = set(range(count))
        self._cancelled: frozenset[int] = frozenset()
        self._is_cancelled = is_cancelled

    def cancelled(self) -> frozenset[int]:
        """Indices of those that are not; once an item is among them it stays so."""
        self._look()
        return self._cancelled

    def nothing(self) -> bool:
        """Whether nobody wants any of it."""
        self._look()
        return not self._open

    def nothing_left(self) -> bool:
        """Whether nobody did when `cancelled` was last asked."""
        return not self._open

    def _look(self) -> None:
        is_cancelled = self._is_cancelled
        gone = [index for index in self._open if is_cancelled(index)]
        if gone:
            self._open.difference_update(gone)
            self._cancelled = self._cancelled.union(gone)
