"""Which of a request's items somebody still waits for."""

from collections.abc import Callable


class Wanted:
    """Which of the items of a request are still wanted, as their caller tells when asked."""

    def __init__(self, count: int, is_cancelled: Callable[[int], bool]) -> None:
        self._open = set(range(count))
        self._cancelled: set[int] = set()
        self._is_cancelled = is_cancelled

    def cancelled(self) -> frozenset[int]:
        """Indices of those that are not; once an item is among them it stays so."""
        self._cancelled.update(index for index in self._open if self._is_cancelled(index))
        self._open -= self._cancelled
        return frozenset(self._cancelled)

    def nothing(self) -> bool:
        """Whether nobody wants any of it."""
        self.cancelled()
        return not self._open
