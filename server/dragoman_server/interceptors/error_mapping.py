"""The one place where an exception becomes the status of a call."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpc.aio import AbortError

from dragoman_server.error_status import call_status, is_expected
from dragoman_server.interceptors.call_scope import CallScopeInterceptor, Context
from dragoman_server.interceptors.request_id import REQUEST_ID_KEY, current_request_id

_DETAILS_KEY = "grpc-status-details-bin"
_log = logging.getLogger(__name__)


class ErrorMappingInterceptor(CallScopeInterceptor):
    """Ends a call with the status of its error, as `error_status` has it.

    A traceback goes to the log, under the id of the request, and never to the caller.
    """

    @asynccontextmanager
    async def scope(self, method: str, context: Context) -> AsyncIterator[None]:
        try:
            yield
        except AbortError:
            raise  # the status is already set
        except Exception as error:
            request_id = current_request_id()
            if not is_expected(error):
                _log.exception("%s failed: request %s", method, request_id)
            mapped = call_status(error, request_id)
            await context.abort(
                mapped.code,
                mapped.status.message,
                (
                    (REQUEST_ID_KEY, request_id),
                    (_DETAILS_KEY, mapped.status.SerializeToString()),
                    *mapped.metadata,
                ),
            )
