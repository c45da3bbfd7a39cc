"""Whether a stream that was refused before its first answer is sent again, and when.

gRPC's own retry of calls with several requests loses some of them (seen with 1.85), so the clients
keep what they have sent until the first answer, and send it again themselves.
"""

from __future__ import annotations

import random
import time
from typing import cast

import grpc

from dragoman_client.channel import Retries
from dragoman_client.status_errors import FailedCall

_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_SPREAD = 0.2  # of a pause, up or down, so that clients do not come back together
_HIDDEN_BY_A_WRITE = "Internal error from Core"
_jitter = random.Random()


class StreamRetries:
    """The attempts of one stream, and the time that all of them together may take."""

    def __init__(self, retries: Retries, timeout: float | None) -> None:
        """`timeout` is in seconds from the first attempt."""
        self._retries = retries
        self._left = retries.attempts - 1
        self._backoff = retries.initial_backoff
        self._timeout = timeout
        self._deadline: float | None = None

    def timeout(self) -> float | None:
        """Seconds that the next attempt may take."""
        if self._timeout is None:
            return None
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout
        return max(0.0, self._deadline - time.monotonic())

    def pause_after(self, error: grpc.RpcError) -> float | None:
        """Seconds to wait before the stream is sent again; None where it is not to be.

        It is sent again where the server was UNAVAILABLE, or said when to come back: then not
        before. Never where the server forbids it, or the deadline would have passed by then.
        """
        failed = cast(FailedCall, error)  # gRPC's errors of calls are calls themselves
        pushback = _pushback(failed)
        if self._left == 0 or (pushback is not None and pushback < 0):
            return None
        if not (
            pushback is not None
            or failed.code() is grpc.StatusCode.UNAVAILABLE
            or hides_its_status(error)
        ):
            return None
        pause = self._next_backoff() if pushback is None else pushback
        left = self.timeout()
        if left is not None and pause >= left:
            return None
        self._left -= 1
        return pause

    def _next_backoff(self) -> float:
        pause = self._backoff * _jitter.uniform(1 - _SPREAD, 1 + _SPREAD)
        self._backoff = min(self._backoff * self._retries.multiplier, self._retries.max_backoff)
        return pause


def hides_its_status(error: grpc.RpcError) -> bool:
    """Whether the call ended while a message was written to it. grpc.aio then forgets its status
    and says INTERNAL, though the server most often is too busy or stops."""
    failed = cast(FailedCall, error)
    return failed.code() is grpc.StatusCode.INTERNAL and failed.details() == _HIDDEN_BY_A_WRITE


def _pushback(failed: FailedCall) -> float | None:
    """Seconds; below 0 where the call is not to be sent again; None where the server says nothing.

    What is no number forbids it, as in gRPC's own retry (gRFC A6).
    """
    for key, value in failed.trailing_metadata() or ():
        if key == _PUSHBACK_KEY:
            try:
                return int(value) / 1_000
            except ValueError:
                return -1.0
    return None
