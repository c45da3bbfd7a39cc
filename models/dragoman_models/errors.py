"""The errors that models and services raise, in one tree.

Each says what is wrong and what to do about it. The server maps them to gRPC statuses in one
table; nothing else needs to know about gRPC.

    DragomanError
    ├── InvalidInputError      one or more fields of the request are wrong
    ├── NotFoundError          the thing that was named does not exist
    │   ├── ModelNotFoundError
    │   └── UnknownWordError
    ├── TooFewKnownError       the model knows too few of the items to give a figure
    ├── ModelNotLoadedError    the model is known, but not loaded
    ├── ModelLoadingError      the model is being loaded: try again shortly
    ├── OverloadedError        the queue is full or the server is stopping: try again later
    ├── LimitExceededError     a quota or a size limit of the caller is used up
    ├── WorkCancelledError     the caller went away before the answer was ready
    ├── BundleError            a bundle that cannot be read or written
    └── TrainingError          a configuration, data or checkpoint that cannot be trained on
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST_QUOTE = 80


def quoted(text: str) -> str:
    """`text` as it may stand in a message: in quotes, controls escaped, cut at 80 characters."""
    if len(text) <= _LONGEST_QUOTE:
        return repr(text)
    return f"{text[:_LONGEST_QUOTE]!r}... ({len(text):,} characters)"


@dataclass(frozen=True, kw_only=True)
class FieldViolation:
    """One wrong field.

    `field` is its path from the request's root (`texts[2]`, `options.beam_width`); `description`
    says what is wrong and names the fix.
    """

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


class DragomanError(Exception):
    """The root of every error that Dragoman raises on purpose."""


class InvalidInputError(DragomanError):
    """One or more fields of the request are wrong."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        if not violations:
            raise ValueError("an InvalidInputError needs at least one violation")
        super().__init__("; ".join(str(violation) for violation in violations))
        self.violations = tuple(violations)

    @classmethod
    def single(cls, field: str, description: str) -> "InvalidInputError":
        """The error of one wrong field."""
        return cls([FieldViolation(field=field, description=description)])

    def __reduce__(self) -> tuple[type["InvalidInputError"], tuple[tuple[FieldViolation, ...]]]:
        return type(self), (self.violations,)


class NotFoundError(DragomanError):
    """The thing that was named does not exist."""

    def __init__(self, resource_type: str, resource_name: str, description: str) -> None:
        super().__init__(description)
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.description = description

    def __reduce__(self) -> tuple[type["NotFoundError"], tuple[Any, ...]]:
        return type(self), (self.resource_type, self.resource_name, self.description)


class ModelNotFoundError(NotFoundError):
    """No model, or no version of it, has this name."""

    def __init__(self, model: str, description: str | None = None) -> None:
        super().__init__(
            "model", model, description or f"no model is named {quoted(model)}; list the models"
        )

    def __reduce__(self) -> tuple[type["ModelNotFoundError"], tuple[str, ...]]:
        return type(self), (self.resource_name, self.description)


class UnknownWordError(NotFoundError):
    """The word is not in the model's vocabulary, and the answer needs it.

    `suggestions` are entries that are spelt alike, where anybody has looked for them.
    """

    def __init__(
        self, word: str, description: str | None = None, suggestions: Sequence[str] = ()
    ) -> None:
        if description is None:
            description = f"the word {quoted(word)} is not in the vocabulary"
            if suggestions:
                description += f"; did you mean {', '.join(map(quoted, suggestions))}?"
        super().__init__("word", word, description)
        self.suggestions = tuple(suggestions)

    def __reduce__(self) -> tuple[type["UnknownWordError"], tuple[Any, ...]]:
        return type(self), (self.resource_name, self.description, self.suggestions)


class TooFewKnownError(DragomanError):
    """The model knows too few of the items of `subject` (a test set) to give a figure."""

    def __init__(self, subject: str, description: str) -> None:
        super().__init__(f"{subject}: {description}")
        self.subject = subject
        self.description = description

    def __reduce__(self) -> tuple[type["TooFewKnownError"], tuple[str, str]]:
        return type(self), (self.subject, self.description)


class ModelNotLoadedError(DragomanError):
    """The model is known, but not loaded; `description` says why, where it is known."""

    def __init__(self, model: str, description: str | None = None) -> None:
        self.model = model
        self.description = description or f"model {quoted(model)} is not loaded; load it first"
        super().__init__(self.description)

    def __reduce__(self) -> tuple[type["ModelNotLoadedError"], tuple[str, ...]]:
        return type(self), (self.model, self.description)


class ModelLoadingError(DragomanError):
    """The model is being loaded; it should be ready after `retry_after_seconds`."""

    def __init__(self, model: str, retry_after_seconds: float) -> None:
        super().__init__(
            f"model {quoted(model)} is still loading; try again in {retry_after_seconds:g} s"
        )
        self.model = model
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[type["ModelLoadingError"], tuple[str, float]]:
        return type(self), (self.model, self.retry_after_seconds)


class OverloadedError(DragomanError):
    """The server cannot take this work now; `reason` is a phrase such as "the queue is full"."""

    def __init__(self, reason: str, retry_after_seconds: float) -> None:
        super().__init__(f"{reason}; try again in {retry_after_seconds:g} s")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[type["OverloadedError"], tuple[str, float]]:
        return type(self), (self.reason, self.retry_after_seconds)


class LimitExceededError(DragomanError):
    """`subject` (a client, a message) is over a limit; `description` states the limit."""

    def __init__(self, subject: str, description: str) -> None:
        super().__init__(f"{subject}: {description}")
        self.subject = subject
        self.description = description

    def __reduce__(self) -> tuple[type["LimitExceededError"], tuple[str, str]]:
        return type(self), (self.subject, self.description)


class WorkCancelledError(DragomanError):
    """The caller went away, or its deadline passed, before the answer was ready."""

    def __init__(self, description: str = "the work was cancelled") -> None:
        super().__init__(description)


class BundleError(DragomanError):
    """The bundle at `path` cannot be read or written; `reason` says why and names the fix."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["BundleError"], tuple[Path, str]]:
        return type(self), (self.path, self.reason)


class TrainingError(DragomanError):
    """A configuration, a data file or a checkpoint that cannot be trained on."""
