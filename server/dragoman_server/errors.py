"""Errors that only a server can meet; they continue the tree of `dragoman_models.errors`.

DragomanError
├── NotServedError         a call that is designed, but not served by this version
├── DeadlinePassedError    the answer would come too late
└── StartupError           the server cannot start; the message says why and names the fix
    └── ConfigError        a setting is unknown or wrong
"""

from dragoman_models.errors import DragomanError


class NotServedError(DragomanError):
    """The call is designed, but this version does not serve it."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is designed, but this version of the server does not serve it")
        self.method = method


class DeadlinePassedError(DragomanError):
    """The deadline of the call, or the longest that the server allows, has passed."""


class StartupError(DragomanError):
    """The server cannot start."""


class ConfigError(StartupError):
    """A setting is unknown or has a wrong value."""
