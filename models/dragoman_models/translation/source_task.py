"""One source, with what holds for its translations alone."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_models.translation.phrases import SourcePhrases


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """A text as it is given.

    Attributes:
        prefix: what its translations begin with; empty for anything.
        required_phrases, banned_phrases: what they hold, and do not hold, as whole words.
        position: sets what is drawn for this text apart from what is drawn for the same text
            elsewhere.
    """

    text: str
    prefix: str = ""
    required_phrases: tuple[str, ...] = ()
    banned_phrases: tuple[str, ...] = ()
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class SourceTask:
    """The same as pieces. ``tokens`` are without eos; ``prefix`` may be empty."""

    tokens: list[int]
    prefix: list[int]
    phrases: SourcePhrases
    position: int
