"""Who makes the call that the current task answers, and until when the answer is of use."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`client` is what shares and quotas are counted by; `deadline` is a time of
    `time.monotonic()`."""

    client: str = ""
    deadline: float | None = None


_current: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 - it is frozen


def current_caller() -> Caller:
    """The caller of this task's call; outside of a call one without a name or a deadline."""
    return _current.get()


def set_caller(peer: str, seconds_left: float | None) -> None:
    """State who calls: `peer` as gRPC writes it ("ipv4:127.0.0.1:40312"); its port is left out, so
    that whoever opens many connections gains no share by it."""
    host = peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer
    deadline = None if seconds_left is None else time.monotonic() + seconds_left
    _current.set(Caller(client=host, deadline=deadline))


def identify(client: str) -> None:
    """State a better name for the caller than its address, such as that of its token."""
    _current.set(replace(_current.get(), client=client))
