"""What one client may have waiting at a time, and how much it may ask for over time."""

from dataclasses import dataclass

from dragoman_server.errors import QuotaExceededError

_MOST_CLIENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class ClientQuota:
    """None is no limit.

    Attributes:
        queued_tokens: the most that may wait of a client at a time; a call that alone has more is
            let in while the client has nothing else waiting.
        tokens_per_second: what a client may ask for in the long run.
        burst_seconds: unused time that a client may save up; so at first it may ask for
            `burst_seconds * tokens_per_second` at once.
        unit: what errors call the tokens, where the work is counted in something else.
    """

    queued_tokens: int | None = None
    tokens_per_second: float | None = None
    burst_seconds: float = 10.0
    unit: str = "tokens"


class ClientQuotas:
    """Holds clients to a quota (a token bucket each: a client's debt, which time pays off)."""

    def __init__(self, quota: ClientQuota) -> None:
        self._quota = quota
        self._paid: dict[str, float] = {}  # by client: when all that it asked for is paid off

    def take(self, client: str, cost: int, waiting: int, now: float) -> None:
        """Count `cost` tokens; raises `QuotaExceededError` where that is too much."""
        self._check_queued(client, cost, waiting)
        rate = self._quota.tokens_per_second
        if rate is None:
            return
        burst = self._quota.burst_seconds
        paid = max(self._paid.get(client, 0.0), now)
        # A call of more than a whole burst is let in on a full bucket: it could not be otherwise.
        over = paid + min(cost / rate, burst) - (now + burst)
        if over > 0:
            raise QuotaExceededError(
                f"client {client}",
                f"may ask for {rate:g} {self._quota.unit} a second and {burst * rate:g} at once",
                retry_after_seconds=over,
            )
        self._paid[client] = paid + cost / rate
        if len(self._paid) > _MOST_CLIENTS:
            self._paid = {name: then for name, then in self._paid.items() if then > now}

    def give_back(self, client: str, cost: int) -> None:
        """Uncount what was taken by a call that was refused for another reason."""
        if self._quota.tokens_per_second is not None and client in self._paid:
            self._paid[client] -= cost / self._quota.tokens_per_second

    def _check_queued(self, client: str, cost: int, waiting: int) -> None:
        most = self._quota.queued_tokens
        if most is not None and waiting and waiting + cost > most:
            raise QuotaExceededError(
                f"client {client}",
                f"has {waiting:,} {self._quota.unit} waiting and asks for {cost:,} more; it may "
                f"have {most:,}",
                retry_after_seconds=1.0,
            )
