"""What the token of a call grants."""

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
class Grant:
    """What a call may do.

    Attributes:
        name: of the token; empty where the server asks for none.
        scopes: what the caller may do.
        calls_per_minute, characters_per_minute: quotas of all calls under this name; None means
            without limit.
    """

    name: str
    scopes: frozenset[Scope]
    calls_per_minute: int | None = None
    characters_per_minute: int | None = None


_current: ContextVar[Grant | None] = ContextVar("grant", default=None)


def current_grant() -> Grant | None:
    """What the call that this task answers may do; None outside of one."""
    return _current.get()


def set_current_grant(grant: Grant) -> None:
    """Grant it to this task's call; each call has a task, and so a context, of its own."""
    _current.set(grant)
