"""Lets only those callers in who may make the call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import grpc

from dragoman_models.errors import DragomanError
from dragoman_server.interceptors.handlers import Context, Handler
from dragoman_server.security.authorization import Authorization
from dragoman_server.security.grant import set_current_grant

_refusal: ContextVar[DragomanError | None] = ContextVar("refusal", default=None)


class CallAuthorization:
    """Decides by method and metadata, before anything of the request itself is read.

    A refused call is answered by `refusing`, a handler of streams, for gRPC would first receive,
    decompress and decode the request of a handler of single messages.
    """

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization
        self.refusing: Handler = grpc.stream_stream_rpc_method_handler(_refused)

    def allows(self, details: grpc.HandlerCallDetails) -> bool:
        """Whether the call may be made; what its token grants is then that of this task.

        gRPC asks for the handler in the task that then runs it: what is set here stays the call's
        own.
        """
        try:
            set_current_grant(
                self._authorization.grant_of(details.method, details.invocation_metadata)
            )
        except DragomanError as error:
            _refusal.set(error)
            return False
        return True


async def _refused(requests: Any, context: Context) -> AsyncIterator[Any]:
    error = _refusal.get()
    if error is not None:
        raise error
    yield  # never: only a refused call comes here; but it makes this a generator
