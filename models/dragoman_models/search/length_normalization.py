"""How hypotheses of different lengths are compared."""

from __future__ import annotations

import enum


class LengthNormalization(enum.Enum):
    """What a hypothesis's log-probability is divided by; its length |Y| counts eos."""

    NONE = "none"  # 1: short hypotheses win
    AVERAGE = "average"  # |Y|: mean log-probability per token
    WU = "wu"  # ((5 + |Y|) / 6) ** alpha: Wu et al. 2016, eq. 14

    def divisor(self, length: int, alpha: float) -> float:
        """The divisor for a hypothesis of ``length`` tokens; never falls as the length grows."""
        if self is LengthNormalization.WU:
            return float(((5.0 + length) / 6.0) ** alpha)
        return float(length) if self is LengthNormalization.AVERAGE else 1.0
