"""Which machine-made sentence pairs are worth learning from."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.held_out import HeldOut, sentence_key

_WORD = re.compile(r"[^\W\d_]{4,}")
_ROOM = 12  # characters, so that short sentences may differ more


class Verdict(enum.Enum):
    """Why a pair is left out, or that it is not."""

    KEPT = "kept"
    HELD_OUT = "held out"  # one side is a sentence of dev, test or probes
    TRUNCATED = "truncated"  # the translation was cut at its longest
    LENGTH = "length"  # one side is too long for the other
    COPY = "copy"  # the translation repeats its source
    UNLIKELY = "unlikely"  # the model that made it thinks little of it


@dataclass(frozen=True, kw_only=True)
class PairFilter:
    """Rules for pairs of a text and its machine translation.

    Attributes:
        held_out: sentences that no pair may have on either side.
        length_ratio: how many times as long one side may be, with room for short sentences.
        copied_share: the most of the text's words (4 letters and more) that its translation may
            repeat, where there are three or more.
        least_log_prob: nats a token that the translation must have by its own model, on average.
    """

    held_out: HeldOut
    length_ratio: float = 2.0
    copied_share: float = 0.5
    least_log_prob: float = -1.0

    def verdict(
        self, pair: SentencePair, *, token_log_prob: float, truncated: bool = False
    ) -> Verdict:
        """What becomes of a pair whose translation has that mean log-probability a token."""
        if self.held_out.holds_any(pair):
            return Verdict.HELD_OUT
        if truncated:
            return Verdict.TRUNCATED
        short, long = sorted(map(len, pair))
        if not short or long > self.length_ratio * short + _ROOM:
            return Verdict.LENGTH
        if self._is_copy(pair):
            return Verdict.COPY
        if not token_log_prob >= self.least_log_prob:  # NaN too
            return Verdict.UNLIKELY
        return Verdict.KEPT

    def _is_copy(self, pair: SentencePair) -> bool:
        if sentence_key(pair.source) == sentence_key(pair.target):
            return True
        words, others = (_WORD.findall(side.lower()) for side in pair)
        repeated = sum(word in others for word in words)
        return len(words) >= 3 and repeated > self.copied_share * len(words)
