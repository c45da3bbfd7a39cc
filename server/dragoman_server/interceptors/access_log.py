"""One line in the log for each call."""

import logging
import time

from dragoman_server.interceptors.call import Call
from dragoman_server.security.grant import current_grant

_log = logging.getLogger("dragoman_server.access")
# Probes come every few seconds, for ever.
_QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/grpc.channelz.")


class AccessLog:
    """Logs method, status, milliseconds, request id, peer and the name of the caller's token.

    Never what a request holds, and nothing of its metadata.
    """

    def began(self, call: Call) -> None:
        """Nothing is logged before a call's end."""

    def ended(self, call: Call) -> None:
        """Log the call."""
        level = logging.DEBUG if call.method.startswith(_QUIET) else logging.INFO
        if not _log.isEnabledFor(level):
            return
        fields = {
            "method": call.method,
            "code": call.outcome(),
            "ms": round((time.monotonic() - call.started) * 1_000, 1),
            "request_id": call.request_id,
            "peer": call.peer,
        }
        grant = current_grant()
        if grant is not None and grant.name:
            fields["token"] = grant.name
        # Not by `log`, which walks the stack to find the line that called it.
        extra = {"fields": fields}
        record = _log.makeRecord(_log.name, level, "", 0, "call", (), None, extra=extra)
        _log.handle(record)
