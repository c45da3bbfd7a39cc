"""From what a token is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_models.errors import FieldViolation

MAX_SAMPLES = 64  # of one text


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
