"""Domain errors as gRPC statuses: the one table of what becomes of each.

A status travels in the trailing metadata, and clients refuse metadata over 8 KiB. So texts and the
number of violations are cut to what surely fits (the message goes twice, once percent-encoded, and
details in base64), and the message says how many were left out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from dragoman.v1 import embedding_service_pb2
from dragoman_models.errors import (
    DragomanError,
    FieldViolation,
    InvalidInputError,
    LimitExceededError,
    ModelLoadingError,
    ModelNotLoadedError,
    NotFoundError,
    OverloadedError,
    TooFewKnownError,
    UnknownWordError,
    WorkCancelledError,
)
from dragoman_server.errors import (
    AccessDeniedError,
    DeadlinePassedError,
    NotAuthenticatedError,
    NotServedError,
    QuotaExceededError,
)

PUSHBACK_KEY = "grpc-retry-pushback-ms"

# In bytes of UTF-8.
_LONGEST_MESSAGE = 600
_LONGEST_DESCRIPTION = 280
_LONGEST_NAME = 128
_MOST_VIOLATIONS = 6
_GAP = " ... "


@dataclass(frozen=True, kw_only=True)
class CallStatus:
    """The status of a failed call, and the metadata that goes with it."""

    status: status_pb2.Status
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> grpc.StatusCode:
        return _CODES[self.status.code]

    @cached_property
    def encoded(self) -> bytes:
        """The status as `grpc-status-details-bin` has it."""
        return self.status.SerializeToString()


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row of the table: an error, its code, its details, its metadata."""

    error: type[Exception]
    code: grpc.StatusCode
    details: Callable[[Any], Sequence[Message]] = field(default=lambda _: ())
    metadata: Callable[[Any], tuple[tuple[str, str], ...]] = field(default=lambda _: ())


def _bad_request(error: InvalidInputError) -> Sequence[Message]:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(
            field=shortened(violation.field, _LONGEST_NAME),
            description=shortened(violation.description, _LONGEST_DESCRIPTION),
        )
        for violation in error.violations[:_MOST_VIOLATIONS]
    ]
    return [error_details_pb2.BadRequest(field_violations=violations)]


def _resource_info(error: NotFoundError) -> Sequence[Message]:
    return [
        error_details_pb2.ResourceInfo(
            resource_type=error.resource_type,
            resource_name=shortened(error.resource_name, _LONGEST_NAME),
            description=shortened(error.description, _LONGEST_DESCRIPTION),
        )
    ]


def _unknown_word(error: UnknownWordError) -> Sequence[Message]:
    details = [*_resource_info(error)]
    if error.suggestions:
        details.append(
            embedding_service_pb2.SpellingSuggestions(
                word=shortened(error.resource_name, _LONGEST_NAME),
                suggestions=[shortened(word, _LONGEST_NAME) for word in error.suggestions],
            )
        )
    return details


def _too_few_known(error: TooFewKnownError) -> Sequence[Message]:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type="TOO_FEW_KNOWN",
        subject=shortened(error.subject, _LONGEST_NAME),
        description=shortened(error.description, _LONGEST_DESCRIPTION),
    )
    return [error_details_pb2.PreconditionFailure(violations=[violation])]


def _not_loaded(error: ModelNotLoadedError) -> Sequence[Message]:
    return [
        error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type="MODEL_NOT_LOADED",
                    subject=shortened(error.model, _LONGEST_NAME),
                    description=shortened(error.description, _LONGEST_DESCRIPTION),
                )
            ]
        )
    ]


_Retried = ModelLoadingError | OverloadedError | QuotaExceededError


def _retry_info(error: _Retried) -> Sequence[Message]:
    delay = Duration()
    delay.FromMilliseconds(_milliseconds(error))
    return [error_details_pb2.RetryInfo(retry_delay=delay)]


def _pushback(error: _Retried) -> tuple[tuple[str, str], ...]:
    return ((PUSHBACK_KEY, str(_milliseconds(error))),)


def _milliseconds(error: _Retried) -> int:
    return max(1, math.ceil(error.retry_after_seconds * 1_000))


def _quota_failure(error: LimitExceededError) -> Sequence[Message]:
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=shortened(error.subject, _LONGEST_NAME),
        description=shortened(error.description, _LONGEST_DESCRIPTION),
    )
    return [error_details_pb2.QuotaFailure(violations=[violation])]


def _client_quota(error: QuotaExceededError) -> Sequence[Message]:
    return [*_quota_failure(error), *_retry_info(error)]


# The first row whose class fits is taken. What no row fits is INTERNAL.
_TABLE: tuple[_Row, ...] = (
    _Row(error=InvalidInputError, code=grpc.StatusCode.INVALID_ARGUMENT, details=_bad_request),
    _Row(error=UnknownWordError, code=grpc.StatusCode.NOT_FOUND, details=_unknown_word),
    _Row(error=NotFoundError, code=grpc.StatusCode.NOT_FOUND, details=_resource_info),
    _Row(
        error=TooFewKnownError,
        code=grpc.StatusCode.FAILED_PRECONDITION,
        details=_too_few_known,
    ),
    _Row(
        error=ModelNotLoadedError,
        code=grpc.StatusCode.FAILED_PRECONDITION,
        details=_not_loaded,
    ),
    _Row(
        error=ModelLoadingError,
        code=grpc.StatusCode.UNAVAILABLE,
        details=_retry_info,
        metadata=_pushback,
    ),
    _Row(
        error=OverloadedError,
        code=grpc.StatusCode.UNAVAILABLE,
        details=_retry_info,
        metadata=_pushback,
    ),
    _Row(
        error=QuotaExceededError,
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        details=_client_quota,
        metadata=_pushback,
    ),
    _Row(
        error=LimitExceededError,
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        details=_quota_failure,
    ),
    _Row(error=WorkCancelledError, code=grpc.StatusCode.CANCELLED),
    _Row(error=DeadlinePassedError, code=grpc.StatusCode.DEADLINE_EXCEEDED),
    _Row(error=NotAuthenticatedError, code=grpc.StatusCode.UNAUTHENTICATED),
    _Row(error=AccessDeniedError, code=grpc.StatusCode.PERMISSION_DENIED),
    _Row(error=NotServedError, code=grpc.StatusCode.UNIMPLEMENTED),
)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def is_expected(error: Exception) -> bool:
    """Whether the table has a row for `error`; anything else is a defect of the server."""
    return any(isinstance(error, row.error) for row in _TABLE)


def call_status(error: Exception, request_id: str) -> CallStatus:
    """The status of a call that `error` ended.

    An error without a row is INTERNAL: its text may hold what no caller should see, so the status
    carries only the request's id, under which the log has the traceback.
    """
    if type(error) is OverloadedError:
        return _overloaded(error.reason, error.retry_after_seconds)
    for row in _TABLE:
        if isinstance(error, row.error):
            return _call_status(row, error)
    message = f"the server failed unexpectedly; report it with the request id {request_id}"
    details = [error_details_pb2.RequestInfo(request_id=request_id)]
    return CallStatus(status=_status(grpc.StatusCode.INTERNAL, message, details))


@lru_cache(1_024)
def _overloaded(reason: str, retry_after_seconds: float) -> CallStatus:
    """Made once for all calls that get it: where there are many of them, time is short."""
    error = OverloadedError(reason, retry_after_seconds)
    row = next(row for row in _TABLE if row.error is OverloadedError)
    return _call_status(row, error)


def _call_status(row: _Row, error: Exception) -> CallStatus:
    status = _status(row.code, _message(error), row.details(error))
    return CallStatus(status=status, metadata=row.metadata(error))


def item_status(error: DragomanError, root: str) -> status_pb2.Status:
    """The status of one item of a batch.

    `root` is the item's path in the request, `pairs[3]`; the error's fields continue it: `first`
    becomes `pairs[3].first`, and the empty field is the item itself.
    """
    if isinstance(error, InvalidInputError):
        error = with_root(error, root)
    return call_status(error, request_id="").status


def with_root(error: InvalidInputError, root: str) -> InvalidInputError:
    """The same violations, with paths that start at the request."""
    return InvalidInputError(
        [
            FieldViolation(
                field=f"{root}.{violation.field}" if violation.field else root,
                description=violation.description,
            )
            for violation in error.violations
        ]
    )


def shortened(text: str, most_bytes: int) -> str:
    """`text` as UTF-8 can hold it, its middle left out where it has more than `most_bytes`."""
    encoded = text.encode("utf-8", "replace")  # a lone surrogate cannot be encoded
    if len(encoded) <= most_bytes:
        return encoded.decode("utf-8")
    half = (most_bytes - len(_GAP)) // 2
    ends = (encoded[:half], encoded[-half:])  # a cut may go through a character
    return _GAP.join(end.decode("utf-8", "ignore") for end in ends)


def _message(error: Exception) -> str:
    if isinstance(error, InvalidInputError) and len(error.violations) > _MOST_VIOLATIONS:
        shown = "; ".join(str(violation) for violation in error.violations[:_MOST_VIOLATIONS])
        left_out = len(error.violations) - _MOST_VIOLATIONS
        return f"{shortened(shown, _LONGEST_MESSAGE)}; and {left_out:,} more"
    return shortened(str(error), _LONGEST_MESSAGE)


def _status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)
