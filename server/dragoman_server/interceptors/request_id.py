"""Gives every call an id, the caller's own where it sends a sound one, and returns it."""

import random
import re
from contextvars import ContextVar

from dragoman_server.interceptors.handlers import Context

REQUEST_ID_KEY = "x-request-id"

# What is safe in a log line; anything else is replaced.
_SOUND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
_ids = random.Random()
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the call that this task answers; empty outside of one."""
    return _current.get()


def begin_request(context: Context) -> str:
    """The id of the call that this task begins to answer; it goes back in the trailing metadata as
    `x-request-id`."""
    request_id = _sent_id(context) or f"{_ids.getrandbits(128):032x}"
    _current.set(request_id)  # each call has a task, and so a context, of its own
    context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
    return request_id


def _sent_id(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and _SOUND.fullmatch(value):
            return value
    return None
