"""Who makes a call, and what the caller may do."""

import enum
from contextvars import ContextVar
from dataclasses import dataclass


class Scope(enum.Enum):
    """What a caller may do."""

    USE = "use"
    """Call models, and list them."""
    ADMINISTER = "administer"
    """Load and unload models, list them, and look at connections (channelz)."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a call.

    Attributes:
        name: of the token; empty where the server asks for none.
        scopes: what the caller may do.
        calls_per_minute, characters_per_minute: the caller's quotas; None means without limit.
    """

    name: str
    scopes: frozenset[Scope]
    calls_per_minute: int | None = None
    characters_per_minute: int | None = None


_current: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller | None:
    """Who made the call that this task answers; None outside of one."""
    return _current.get()


def set_current_caller(caller: Caller) -> None:
    """Let this task's call be the caller's; each call has a task, and so a context, of its own."""
    _current.set(caller)
