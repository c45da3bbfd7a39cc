"""What a server and its worker processes say to each other, over a pipe that nobody else has.

Each message but `Cancel` is answered by one `Reply`, in order.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dragoman_models.bundle import Bundle
from dragoman_server.workers.shared_bundle import SharedBundle


class Cancelling(enum.Enum):
    """How the method of a model asks whether its work is still wanted."""

    NOT = "not"
    WHOLE = "whole"  # cancelled()
    EACH = "each"  # cancelled(index)


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load a model by `load`, and warm it up. The descriptor of its weights follows."""

    model: int
    bundle: SharedBundle
    load: Callable[[Bundle], object]  # that which the server itself would call


@dataclass(frozen=True, kw_only=True)
class Unload:
    """Forget a model."""

    model: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """Call a method of a model."""

    model: int
    method: str
    arguments: Sequence[Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    partners: Sequence[int] = ()  # translators that the model makes an ensemble with
    cancelling: Cancelling = Cancelling.NOT
    cancelled: frozenset[int] = frozenset()  # what is not wanted from the beginning


@dataclass(frozen=True, kw_only=True)
class Join:
    """Have a new continuation join an engine of a language model, which the first one makes."""

    model: int
    engine: int
    prompt: str
    options: Any
    seed: int
    samples: int
    tokens: Sequence[int] | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Let continuations (by their numbers, in the order of joining) leave, and do one step."""

    engine: int
    leaving: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Close:
    """Forget an engine."""

    engine: int


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """The items with these indices, of the message that is being answered, are not wanted."""

    indices: Sequence[int]


Request = Load | Unload | Call | Join | Step | Close


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a request gave: a value, a domain error, or the traceback of any other."""

    value: Any = None
    error: Exception | None = None
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawnToken:
    """What a step brought to one continuation."""

    number: int
    text: str
    token: int
    token_log_prob: float
    finish_reason: Any
