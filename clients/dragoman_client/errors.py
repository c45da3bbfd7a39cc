"""The errors that the client raises, in one tree.

Each carries the status ``code`` of the call and, where the server named it, the ``request_id`` to
find the call by in the server's log. The message says what is wrong and what to do about it.

    DragomanClientError
    ├── InvalidRequestError        a field of the request is wrong: ``violations`` names it
    ├── NotFoundError              no such model, version or word: ``resource_name``, suggestions
    ├── ModelNotLoadedError        the server has the model, but has not loaded it
    ├── TooFewKnownError           the model knows too few items of a test set to give a figure
    ├── UnavailableError           the server is full, stopping, or loading: ``retry_after`` seconds
    │   └── ServerUnreachableError no server answers at the address
    ├── QuotaExceededError         a message is too large, or a quota is used up: ``violations``
    ├── DeadlineExceededError      no answer came within the timeout
    ├── CallCancelledError         the call was cancelled
    ├── UnauthenticatedError       the server does not know who calls
    ├── PermissionDeniedError      the caller may not do this
    ├── NotServedError             the server does not serve this call
    └── ServerError                anything else: a fault of the server

In a call with many items, the error of one item stands in its place in the list of results and is
not raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import grpc


@dataclass(frozen=True, kw_only=True)
class FieldViolation:
    """One wrong field: its path from the request's root, and what is wrong with it."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


@dataclass(frozen=True, kw_only=True)
class QuotaViolation:
    """One limit that was passed: whose it is, and what it is."""

    subject: str
    description: str


class DragomanClientError(Exception):
    """The root of every error that the client raises on purpose."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id


class InvalidRequestError(DragomanClientError):
    """One or more fields of the request are wrong."""

    def __init__(
        self,
        message: str,
        *,
        violations: Sequence[FieldViolation] = (),
        code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT,
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.violations = tuple(violations)

    @classmethod
    def single(cls, field: str, description: str) -> InvalidRequestError:
        """The error of one wrong field, found before anything was sent."""
        violation = FieldViolation(field=field, description=description)
        return cls(str(violation), violations=[violation])


class NotFoundError(DragomanClientError):
    """What was named does not exist: ``resource_type`` is "model" or "word".

    ``suggestions`` are words of the model that are spelt like one it does not know.
    """

    def __init__(
        self,
        message: str,
        *,
        resource_type: str = "",
        resource_name: str = "",
        suggestions: Sequence[str] = (),
        code: grpc.StatusCode = grpc.StatusCode.NOT_FOUND,
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.suggestions = tuple(suggestions)


class TooFewKnownError(DragomanClientError):
    """The model knows too few of the items of a test set to give a figure."""


class ModelNotLoadedError(DragomanClientError):
    """The server has the model, but has not loaded it."""


class UnavailableError(DragomanClientError):
    """The server cannot take this work now.

    ``retry_after`` is how many seconds the server asks to wait; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.retry_after = retry_after


class ServerUnreachableError(UnavailableError):
    """No server answers at the address, or the connection broke."""


class QuotaExceededError(DragomanClientError):
    """A message is too large, or a quota of the caller is used up."""

    def __init__(
        self,
        message: str,
        *,
        violations: Sequence[QuotaViolation] = (),
        code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED,
        request_id: str = "",
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.violations = tuple(violations)


class DeadlineExceededError(DragomanClientError):
    """No answer came within the timeout. The server stops the work."""


class CallCancelledError(DragomanClientError):
    """The call was cancelled before its answer was ready."""


class UnauthenticatedError(DragomanClientError):
    """The server does not know who calls."""


class PermissionDeniedError(DragomanClientError):
    """The caller may not do this."""


class NotServedError(DragomanClientError):
    """The server does not serve this call."""


class ServerError(DragomanClientError):
    """A fault of the server; its log tells more under ``request_id``."""
