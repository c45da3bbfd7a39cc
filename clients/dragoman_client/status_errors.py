"""Turns gRPC statuses with google.rpc details into the client's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from dragoman.v1 import embedding_service_pb2
from dragoman_client.errors import (
    CallCancelledError,
    DeadlineExceededError,
    DragomanClientError,
    FieldViolation,
    InvalidRequestError,
    ModelNotLoadedError,
    NotFoundError,
    NotServedError,
    PermissionDeniedError,
    QuotaExceededError,
    QuotaViolation,
    ServerError,
    ServerUnreachableError,
    TooFewKnownError,
    UnauthenticatedError,
    UnavailableError,
)

_STATUS_KEY = "grpc-status-details-bin"
_REQUEST_ID_KEY = "x-request-id"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class FailedCall(Protocol):
    """What both the synchronous and the asynchronous error of gRPC can tell."""

    def code(self) -> grpc.StatusCode | None: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


@dataclass(kw_only=True)
class _Details:
    """The google.rpc details of a status that the client knows."""

    bad_request: error_details_pb2.BadRequest = field(default_factory=error_details_pb2.BadRequest)
    resource: error_details_pb2.ResourceInfo = field(default_factory=error_details_pb2.ResourceInfo)
    quota: error_details_pb2.QuotaFailure = field(default_factory=error_details_pb2.QuotaFailure)
    retry: error_details_pb2.RetryInfo = field(default_factory=error_details_pb2.RetryInfo)
    request: error_details_pb2.RequestInfo = field(default_factory=error_details_pb2.RequestInfo)
    precondition: error_details_pb2.PreconditionFailure = field(
        default_factory=error_details_pb2.PreconditionFailure
    )
    spelling: embedding_service_pb2.SpellingSuggestions = field(
        default_factory=embedding_service_pb2.SpellingSuggestions
    )

    @classmethod
    def of(cls, status: status_pb2.Status) -> _Details:
        """Unpacks what it knows; details of other types are left for newer clients."""
        details = cls()
        for packed in status.details:
            for known in vars(details).values():
                if packed.Is(known.DESCRIPTOR):
                    packed.Unpack(known)
        return details


def error_of_status(status: status_pb2.Status) -> DragomanClientError:
    """The error that a status with its details tells of, for a call or for one item."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    build = _BUILDERS.get(code, _server_error)
    return build(status.message, code, _Details.of(status))


def error_of_call(call: FailedCall, *, address: str, timeout: float) -> DragomanClientError:
    """The error that a failed call tells of.

    Args:
        address: of the server, for the message.
        timeout: of the call in seconds, for the message.
    """
    code = call.code() or grpc.StatusCode.UNKNOWN
    metadata = dict(call.trailing_metadata() or ())
    error = _of_call(code, call.details() or "", metadata, address=address, timeout=timeout)
    error.request_id = error.request_id or str(metadata.get(_REQUEST_ID_KEY, ""))
    return error


def _of_call(
    code: grpc.StatusCode,
    message: str,
    metadata: Mapping[str, str | bytes],
    *,
    address: str,
    timeout: float,
) -> DragomanClientError:
    rich = metadata.get(_STATUS_KEY)
    if isinstance(rich, bytes):
        status = status_pb2.Status.FromString(rich)
        if status.code == code.value[0]:
            return error_of_status(status)
    if code is grpc.StatusCode.UNAVAILABLE and _REQUEST_ID_KEY not in metadata:
        return _unreachable(message, address)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceededError(
            f"no answer from {address} within {timeout:g} s; give a longer timeout or less work",
            code=code,
        )
    return error_of_status(status_pb2.Status(code=code.value[0], message=message))


def not_ready(address: str, service: str, timeout: float) -> DeadlineExceededError:
    """The error that a server, or one service of it, did not become ready in time."""
    return DeadlineExceededError(
        f"{service or 'the server'} at {address} was not ready within {timeout:g} s",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )


def _unreachable(message: str, address: str) -> ServerUnreachableError:
    # gRPC's own text names every address it tried; its end says why the last one failed.
    reason = message.rpartition(": ")[2] or "no reason given"
    return ServerUnreachableError(
        f"cannot reach a Dragoman server at {address} ({reason}); start one with `make serve` or "
        "`dragoman serve`, or name its address with --server or DRAGOMAN_SERVER"
    )


_Builder = Callable[[str, grpc.StatusCode, _Details], DragomanClientError]


def _invalid(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
    violations = [
        FieldViolation(field=found.field, description=found.description)
        for found in details.bad_request.field_violations
    ]
    if not all(violation.field in message for violation in violations):
        message = "; ".join(map(str, violations))
    return InvalidRequestError(
        message,
        violations=violations,
        code=code,
        request_id=details.request.request_id,
    )


def _not_found(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
    return NotFoundError(
        message,
        resource_type=details.resource.resource_type,
        resource_name=details.resource.resource_name,
        suggestions=details.spelling.suggestions,
        code=code,
        request_id=details.request.request_id,
    )


def _precondition(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
    kinds = {violation.type for violation in details.precondition.violations}
    error = TooFewKnownError if "TOO_FEW_KNOWN" in kinds else ModelNotLoadedError
    return error(message, code=code, request_id=details.request.request_id)


def _unavailable(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
    delay = details.retry.retry_delay
    return UnavailableError(
        message,
        retry_after=delay.seconds + delay.nanos / 1e9
        if details.retry.HasField("retry_delay")
        else None,
        code=code,
        request_id=details.request.request_id,
    )


def _quota_exceeded(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
    return QuotaExceededError(
        message,
        violations=[
            QuotaViolation(subject=found.subject, description=found.description)
            for found in details.quota.violations
        ],
        code=code,
        request_id=details.request.request_id,
    )


def _plain(error: type[DragomanClientError]) -> _Builder:
    def build(message: str, code: grpc.StatusCode, details: _Details) -> DragomanClientError:
        return error(message, code=code, request_id=details.request.request_id)

    return build


_server_error = _plain(ServerError)

_BUILDERS: dict[grpc.StatusCode, _Builder] = {
    grpc.StatusCode.INVALID_ARGUMENT: _invalid,
    grpc.StatusCode.OUT_OF_RANGE: _invalid,
    grpc.StatusCode.NOT_FOUND: _not_found,
    grpc.StatusCode.FAILED_PRECONDITION: _precondition,
    grpc.StatusCode.UNAVAILABLE: _unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: _quota_exceeded,
    grpc.StatusCode.DEADLINE_EXCEEDED: _plain(DeadlineExceededError),
    grpc.StatusCode.CANCELLED: _plain(CallCancelledError),
    grpc.StatusCode.UNAUTHENTICATED: _plain(UnauthenticatedError),
    grpc.StatusCode.PERMISSION_DENIED: _plain(PermissionDeniedError),
    grpc.StatusCode.UNIMPLEMENTED: _plain(NotServedError),
}
