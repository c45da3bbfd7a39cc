"""How long a worker that is free waits for callers who come again.

When a batch of several calls has ended, their callers are likely to come again within the next
milliseconds, one by one. A worker that took the first alone would run batches of 1 and 63 in turn.
So it waits for as many calls, but only while they keep coming, and not for longer than a share of
the time that the last batch took.
"""

_PATIENCE_SHARE = 0.05  # of the last batch's time, from one look at the arrivals to the next
_LONGEST_PATIENCE = 0.05


class Gathering:
    """Belongs to the event loop; times are those of the batcher's clock, in seconds."""

    def __init__(self, longest_share: float) -> None:
        """`longest_share` of the last batch's time is the most to wait; below a twentieth, that."""
        self._longest_share = max(longest_share, _PATIENCE_SHARE)
        self._wanted_calls = 0
        self._seen_calls = 0
        self._patience = 0.0
        self._look_at = self._until = 0.0

    def batch_ended(self, calls: int, seconds: float, now: float) -> None:
        """A batch of so many calls has ended that took so long."""
        if calls <= 1:
            return
        self._wanted_calls, self._seen_calls = calls, 0
        self._patience = min(_PATIENCE_SHARE * seconds, _LONGEST_PATIENCE)
        self._look_at = now + self._patience
        self._until = now + self._patience * self._longest_share / _PATIENCE_SHARE

    def left(self, waiting_calls: int, now: float) -> float:
        """Seconds until it should be asked again; 0 where a batch is to begin with what waits."""
        if waiting_calls >= self._wanted_calls:
            return 0.0
        if now >= self._look_at:
            if waiting_calls <= self._seen_calls:
                return 0.0  # nobody came meanwhile
            self._seen_calls = waiting_calls
            self._look_at = now + self._patience
        return max(0.0, min(self._look_at, self._until) - now)

    def batch_begins(self) -> None:
        """Whoever comes now is no longer waited for."""
        self._wanted_calls = 0
