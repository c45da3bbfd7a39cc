"""How a text is continued, and why a continuation ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from dragoman_models.errors import FieldViolation
from dragoman_models.search.sampling_options import SamplingOptions

MAX_TOKENS = 10_000
_MAX_STOP_STRINGS, _LONGEST_STOP_STRING = 16, 256


class FinishReason(enum.Enum):
    """Why a continuation ends."""

    END_OF_TEXT = "end_of_text"  # the model ended it
    MAX_LENGTH = "max_length"
    STOP_STRING = "stop_string"


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """A continuation's limits and penalties.

    Attributes:
        max_tokens, min_tokens: the model may end the text from ``min_tokens`` on; at
            ``max_tokens`` it is cut.
        stop_strings: the text ends before the first of them.
        repetition_penalty: divides the probability of tokens of the prompt or the continuation.
        no_repeat_ngram_size: no sequence of so many tokens occurs twice in the continuation.
    """

    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int = 100
    min_tokens: int = 0
    stop_strings: tuple[str, ...] = ()
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int | None = None

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is. NaN is wrong everywhere."""
        found = []
        if not 1 <= self.max_tokens <= MAX_TOKENS:
            found.append(("max_tokens", f"is {self.max_tokens}; give 1 to {MAX_TOKENS:,}"))
        if not 0 <= self.min_tokens <= self.max_tokens:
            limit = f"give 0 to max_tokens ({self.max_tokens})"
            found.append(("min_tokens", f"is {self.min_tokens}; {limit}"))
        if len(self.stop_strings) > _MAX_STOP_STRINGS:
            text = f"has {len(self.stop_strings)} strings; give at most {_MAX_STOP_STRINGS}"
            found.append(("stop_strings", text))
        for i, stop in enumerate(self.stop_strings):
            if not 1 <= len(stop) <= _LONGEST_STOP_STRING:
                text = f"has {len(stop)} characters; give 1 to {_LONGEST_STOP_STRING}"
                found.append((f"stop_strings[{i}]", text))
        if not 1.0 <= self.repetition_penalty <= 1e6:
            found.append(
                ("repetition_penalty", f"is {self.repetition_penalty}; give 1 to 1,000,000")
            )
        if self.no_repeat_ngram_size is not None and self.no_repeat_ngram_size < 1:
            text = f"is {self.no_repeat_ngram_size}; give at least 1, or leave it unset"
            found.append(("no_repeat_ngram_size", text))
        inner = [
            FieldViolation(field=f"sampling.{one.field}", description=one.description)
            for one in self.sampling.violations()
        ]
        return [FieldViolation(field=name, description=text) for name, text in found] + inner
