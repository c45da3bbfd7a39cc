"""One line in the log for each call."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from dragoman_server.interceptors.call_scope import CallScopeInterceptor, Context, seconds_left
from dragoman_server.interceptors.request_id import current_request_id
from dragoman_server.security.grant import current_grant

_log = logging.getLogger("dragoman_server.access")
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Probes come every few seconds, for ever.
_QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/grpc.channelz.")


class AccessLogInterceptor(CallScopeInterceptor):
    """Logs method, status, milliseconds, request id, peer and the name of the caller's token.

    Never what a request holds, and nothing of its metadata.
    """

    @contextmanager
    def scope(self, method: str, context: Context) -> Iterator[None]:
        started = time.monotonic()
        peer = context.peer()  # forgotten once the caller has gone
        gone = False
        try:
            yield
        except asyncio.CancelledError:
            gone = True
            raise
        finally:
            level = logging.DEBUG if method.startswith(_QUIET) else logging.INFO
            if _log.isEnabledFor(level):
                fields = {
                    "method": method,
                    "code": outcome(context, gone),
                    "ms": round((time.monotonic() - started) * 1_000, 1),
                    "request_id": current_request_id(),
                    "peer": peer,
                }
                grant = current_grant()
                if grant is not None and grant.name:
                    fields["token"] = grant.name
                # Not by `log`, which walks the stack to find the line that called it.
                extra = {"fields": fields}
                record = _log.makeRecord(_log.name, level, "", 0, "call", (), None, extra=extra)
                _log.handle(record)


def outcome(context: Context, gone: bool) -> str:
    """The name of the status of a call that ends; `gone` is whether its caller went away."""
    if gone:
        remaining = seconds_left(context)
        late = remaining is not None and remaining <= 0
        return "DEADLINE_EXCEEDED" if late else "CANCELLED"
    code: Any = context.code()  # an int, whatever grpc's types say, and 0 where none was set
    found = code if isinstance(code, grpc.StatusCode) else _CODES.get(code or 0)
    return "OK" if found is None else found.name
