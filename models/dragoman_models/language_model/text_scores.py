"""Texts to score, and their scores."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TextToScore:
    """A text, and what stands to its left: read, not scored."""

    text: str
    context: str = ""


@dataclass(frozen=True, kw_only=True)
class TokenScore:
    """A token, its natural log-probability, and its span in the text (code points)."""

    token: str
    log_prob: float
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """How probable a text is after its context.

    Attributes:
        tokens: those of the text, the end of text last unless it was excluded. A token that the
            vocabulary makes of the context's last and the text's first characters counts as the
            text's, with the part of its span that lies in the text.
        words: divided by white space, without the end of text.
        characters: code points of the text.
        unknown_tokens: how many tokens the vocabulary lacks; they count with the probability of
            the unknown token.
    """

    tokens: tuple[TokenScore, ...]
    words: int
    characters: int
    unknown_tokens: int

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the text's probability; 0 where no token was scored."""
        return math.fsum(token.log_prob for token in self.tokens)

    @property
    def perplexity(self) -> float | None:
        """Per token; None where no token was scored."""
        return _exp(-self.log_prob / len(self.tokens)) if self.tokens else None

    @property
    def word_perplexity(self) -> float | None:
        """Per word; None for a text without words."""
        return _exp(-self.log_prob / self.words) if self.words else None

    @property
    def bits_per_character(self) -> float | None:
        """Per code point; None for the empty text."""
        return -self.log_prob / self.characters / math.log(2) if self.characters else None


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
