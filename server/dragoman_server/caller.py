"""Who makes the call that the current task answers, and until when the answer is of use."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace

from dragoman_server.security.grant import current_grant


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`client` is what shares and quotas are counted by; `method` is gRPC's name of the call;
    `deadline` is a time of `time.monotonic()`."""

    client: str = ""
    method: str = ""
    deadline: float | None = None


_current: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 - it is frozen


def current_caller() -> Caller:
    """The caller of this task's call; outside of a call one without a name or a deadline."""
    return _current.get()


def set_caller(peer: str, method: str, seconds_left: float | None) -> None:
    """State who calls: `peer` as gRPC writes it ("ipv4:127.0.0.1:40312"); its port is left out, so
    that whoever opens many connections gains no share by it."""
    host = peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer
    deadline = None if seconds_left is None else time.monotonic() + seconds_left
    _current.set(Caller(client=host, method=method, deadline=deadline))


def name_by_token() -> None:
    """Let shares and quotas be counted by tokens, where there are some, and not by addresses."""
    grant = current_grant()
    if grant is not None and grant.name:
        _current.set(replace(_current.get(), client=f"token {grant.name}"))
