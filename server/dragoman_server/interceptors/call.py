"""A call while it is answered, as the parts of the interceptor see it."""

from __future__ import annotations

import time
from typing import Any, Protocol

import grpc

from dragoman_server.interceptors.handlers import Context
from dragoman_server.interceptors.request_id import begin_request

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Call:
    """Its method, such as "/dragoman.v1.ModelService/GetModel", and what is known of it."""

    __slots__ = ("context", "gone", "method", "peer", "request_id", "started")

    def __init__(self, method: str, context: Context) -> None:
        self.method = method
        self.context = context
        self.started = time.monotonic()
        self.peer: str = context.peer()  # forgotten once the caller has gone
        self.request_id = begin_request(context)
        self.gone = False  # whether its caller went away

    def seconds_left(self) -> float | None:
        """Seconds until the call's deadline; None where the caller set none."""
        seconds: float | None = self.context.time_remaining()  # grpc's types forget the None
        return seconds

    def outcome(self) -> str:
        """The name of the status of a call that ends."""
        if self.gone:
            remaining = self.seconds_left()
            late = remaining is not None and remaining <= 0
            return "DEADLINE_EXCEEDED" if late else "CANCELLED"
        code: Any = self.context.code()  # an int, whatever grpc says, and 0 where none was set
        found = code if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0)
        return "OK" if found is None else found.name


class CallObserver(Protocol):
    """Is told of every call; must return at once and raise nothing."""

    def began(self, call: Call) -> None: ...

    def ended(self, call: Call) -> None: ...
