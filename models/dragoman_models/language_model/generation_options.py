"""How a text is continued, and why a continuation ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dragoman_models.errors import FieldViolation

MAX_SAMPLES = 64
MAX_TOKENS = 10_000
_MAX_STOP_STRINGS, _LONGEST_STOP_STRING = 16, 256


class FinishReason(enum.Enum):
    """Why a continuation ends."""

    END_OF_TEXT = "end_of_text"  # the model ended it
    MAX_LENGTH = "max_length"
    STOP_STRING = "stop_string"


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """What a token is drawn from; the filters apply in this order, then what is left is
    renormalized. Each filter sees the renormalized distribution that the one before left.

    Attributes:
        temperature: divides the logits; 0 takes the most probable token.
        top_k: the k most probable tokens; None: no limit.
        top_p: the fewest most probable tokens that together have this probability (Holtzman et
            al. 2020).
        min_p: tokens at least this many times as probable as the most probable one.
        typical_p: the fewest tokens whose information is nearest to the entropy and that together
            have this probability (Meister et al. 2023).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is. NaN is wrong everywhere."""
        found = []
        if not 0.0 <= self.temperature <= 100.0:
            found.append(("temperature", f"is {self.temperature}; give 0 to 100"))
        if self.top_k is not None and self.top_k < 1:
            found.append(("top_k", f"is {self.top_k}; give at least 1, or leave it unset"))
        if not 0.0 <= self.min_p <= 1.0:
            found.append(("min_p", f"is {self.min_p}; give 0 to 1"))
        for name in ("top_p", "typical_p"):
            value = getattr(self, name)
            if not 0.0 < value <= 1.0:
                found.append((name, f"is {value}; give more than 0, up to 1"))
        return [FieldViolation(field=name, description=text) for name, text in found]


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

    sampling: SamplingOptions = SamplingOptions()
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
