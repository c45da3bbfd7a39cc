"""How to search for continuations of a prompt, and what is found."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_models.errors import FieldViolation
from dragoman_models.language_model.generation_options import MAX_TOKENS, FinishReason
from dragoman_models.search.length_normalization import LengthNormalization

MAX_BEAM_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """How to search; as `translation.translator.TranslationOptions`, with ``max_tokens``."""

    beam_width: int = 5
    n_best: int = 1
    length_normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    max_tokens: int = 100

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is."""
        found = []
        if not 1 <= self.beam_width <= MAX_BEAM_WIDTH:
            found.append(("beam_width", f"is {self.beam_width}; give 1 to {MAX_BEAM_WIDTH}"))
        if not 1 <= self.n_best <= max(self.beam_width, 1):
            limit = f"give 1 to beam_width ({self.beam_width})"
            found.append(("n_best", f"is {self.n_best}; {limit}"))
        if not 0.0 <= self.length_penalty <= 10.0:  # NaN fails too
            found.append(("length_penalty", f"is {self.length_penalty}; give 0.0 to 10.0"))
        if not 1 <= self.max_tokens <= MAX_TOKENS:
            found.append(("max_tokens", f"is {self.max_tokens}; give 1 to {MAX_TOKENS:,}"))
        return [FieldViolation(field=name, description=problem) for name, problem in found]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One continuation.

    Attributes:
        tokens: the end of text last.
        token_log_probs, log_prob: under the model; natural logarithms, the end included.
        score: ``log_prob`` divided by the length normalization.
    """

    text: str
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    finish_reason: FinishReason
