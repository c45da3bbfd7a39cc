"""A continuation of a prompt that an engine draws, and what a step brought to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragoman_models.language_model.generation_options import FinishReason, GenerationOptions
from dragoman_models.language_model.text_stream import TextStream


class Generation:
    """One continuation, the ``index``-th sample of its prompt; the engine moves it on."""

    def __init__(
        self, options: GenerationOptions, seed: int, index: int, stream: TextStream
    ) -> None:
        self.options = options
        self.index = index
        self.stream = stream
        self.random = np.random.default_rng(np.random.SeedSequence([seed, index]))
        self.tokens: list[int] = []
        self.log_prob = 0.0
        self.slot: int | None = None
        self.finish_reason: FinishReason | None = None
        self._followers: dict[tuple[int, ...], set[int]] = {}

    def repeating(self) -> list[int]:
        """Tokens that would make a sequence of no_repeat_ngram_size occur a second time."""
        size = self.options.no_repeat_ngram_size
        if size is None:
            return []
        last = tuple(self.tokens[len(self.tokens) - size + 1 :]) if size > 1 else ()
        return sorted(self._followers.get(last, ()))

    def append(self, token: int, log_prob: float) -> None:
        """Adds a token, with its probability under the model alone."""
        size = self.options.no_repeat_ngram_size
        if size is not None and len(self.tokens) >= size - 1:
            last = tuple(self.tokens[len(self.tokens) - size + 1 :]) if size > 1 else ()
            self._followers.setdefault(last, set()).add(token)
        self.tokens.append(token)
        self.log_prob += log_prob


@dataclass(frozen=True, kw_only=True)
class GenerationEvent:
    """What one step brought to one continuation.

    Attributes:
        text: whole characters; may be empty.
        token: the token drawn; ``token_log_prob`` is the model's own, before all filters.
        finish_reason: None while it goes on.
    """

    generation: Generation
    text: str
    token: int
    token_log_prob: float
    finish_reason: FinishReason | None
