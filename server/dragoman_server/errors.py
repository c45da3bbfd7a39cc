"""Errors that only a server can meet; they continue the tree of `dragoman_models.errors`.

DragomanError
├── NotServedError         a call that is designed, but not served by this version
├── DeadlinePassedError    the answer would come too late
├── QuotaExceededError     a client asks for more than its share (a LimitExceededError)
└── StartupError           the server cannot start; the message says why and names the fix
    └── ConfigError        a setting is unknown or wrong
"""

from typing import Any

from dragoman_models.errors import DragomanError, LimitExceededError


class NotServedError(DragomanError):
    """The call is designed, but this version does not serve it."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is designed, but this version of the server does not serve it")
        self.method = method


class DeadlinePassedError(DragomanError):
    """The deadline of the call, or the longest that the server allows, has passed."""


class QuotaExceededError(LimitExceededError):
    """A client is over its quota; it may come back after `retry_after_seconds`."""

    def __init__(self, subject: str, description: str, *, retry_after_seconds: float) -> None:
        super().__init__(subject, description)
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> Any:
        return _quota_exceeded, (self.subject, self.description, self.retry_after_seconds)


def _quota_exceeded(subject: str, description: str, seconds: float) -> QuotaExceededError:
    return QuotaExceededError(subject, description, retry_after_seconds=seconds)


class StartupError(DragomanError):
    """The server cannot start."""


class ConfigError(StartupError):
    """A setting is unknown or has a wrong value."""
