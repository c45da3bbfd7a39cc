"""The one place where an exception becomes the status of a call."""

import logging
from typing import TypeAlias

import grpc

from dragoman_server.error_status import call_status, is_expected
from dragoman_server.interceptors.call import Call
from dragoman_server.interceptors.request_id import REQUEST_ID_KEY

Status: TypeAlias = "tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]"

_DETAILS_KEY = "grpc-status-details-bin"
_log = logging.getLogger(__name__)


def set_status(call: Call, error: Exception) -> Status:
    """Have the call end with the status of its error, as `error_status` has it; that status, for
    `context.abort`.

    A traceback goes to the log, under the id of the request, and never to the caller.
    """
    if not is_expected(error):
        _log.error("%s failed: request %s", call.method, call.request_id, exc_info=error)
    mapped = call_status(error, call.request_id)
    metadata: tuple[tuple[str, str | bytes], ...] = (
        (REQUEST_ID_KEY, call.request_id),
        (_DETAILS_KEY, mapped.encoded),
        *mapped.metadata,
    )
    call.context.set_code(mapped.code)
    call.context.set_details(mapped.status.message)
    call.context.set_trailing_metadata(metadata)
    return mapped.code, mapped.status.message, metadata
