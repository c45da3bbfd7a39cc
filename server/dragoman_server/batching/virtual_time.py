"""Time as it passes for those who share a server equally: the more they are, the slower."""

from bisect import bisect_left, insort


class VirtualTime:
    """How much each would have been given by a server that works on all at the same time
    (generalized processor sharing: Parekh and Gallager 1993, with equal weights).

    Who is served in batches may have got more than that when its work ends; so it counts as sharing
    until the time has come at which the ideal server would have finished it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._served_ahead: list[float] = []  # when those who have left would have, in order

    def pass_by(self, work: float, active: int) -> None:
        """So much work was done while `active` had work waiting."""
        ahead = self._served_ahead
        while work > 0.0:
            del ahead[: bisect_left(ahead, self.now + 1e-9)]
            sharing = active + len(ahead)
            if not sharing:
                return
            step = work / sharing
            if ahead and self.now + step > ahead[0]:
                work -= (ahead[0] - self.now) * sharing
                self.now = ahead[0]
            else:
                self.now += step
                work = 0.0

    def leave(self, tag: float) -> None:
        """Somebody has no work left, and was served up to `tag`."""
        if tag > self.now:
            insort(self._served_ahead, tag)

    def come_back(self, tag: float) -> float:
        """The tag of somebody who has work again and left with `tag`, or is new with 0."""
        position = bisect_left(self._served_ahead, tag)
        if position < len(self._served_ahead) and self._served_ahead[position] == tag:
            del self._served_ahead[position]
        return max(tag, self.now)
