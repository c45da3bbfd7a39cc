"""How sentences are translated: what a caller may ask of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dragoman_models.errors import FieldViolation
from dragoman_models.search.beam_search import EarlyStopping
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.sampling_options import MAX_SAMPLES, SamplingOptions
from dragoman_models.translation.phrases import MAX_BANNED_PHRASES, phrase_violations

MAX_BEAM_WIDTH = 64
_LONGEST = 10_000
_MOST_REPETITION_PENALTY, _MOST_STRENGTH = 1_000_000, 1_000


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to search.

    Attributes:
        beam_width: hypotheses kept at each step, 1 to 64; 1 is greedy search.
        n_best: how many translations of each sentence to return, at most ``beam_width``.
        length_normalization, length_penalty: how scores of different lengths compare; the
            penalty is the alpha of Wu et al. 2016 and plays no part in the other two.
        max_length: the most target pieces; None: twice the source's and 20 more.
        min_length: the fewest target pieces.
        max_length_ratio, min_length_ratio: the same for each piece of the source (eos counts);
            of two limits the tighter holds, and where they cross, the most.
        coverage_penalty: beta of Wu et al. 2016, eq. 14; 0 for none.
        early_stopping: when the search of a sentence ends.
        no_repeat_ngram_size: no sequence of that many pieces occurs twice; None: no such rule.
        repetition_penalty: divides the probability of pieces that occurred; at least 1.
        banned_phrases: what no translation holds as whole words.
        diverse_beams: groups that are pushed apart; None: one beam.
        return_alignments: whether to return attention weights, and the words that they link.
        split_sentences: texts are divided at sentence ends (see ``sentence_splitting``), and
            limits and rules hold for each sentence.
        sampling: draws ``n_best`` translations (up to 64) instead of searching; what says how to
            search has no effect then. None: beam search.
        seed: of the random numbers, from 0; with the text and the options it determines what is
            drawn.
    """

    beam_width: int = 5
    n_best: int = 1
    length_normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    max_length: int | None = None
    min_length: int = 0
    max_length_ratio: float | None = None
    min_length_ratio: float = 0.0
    coverage_penalty: float = 0.0
    early_stopping: EarlyStopping = EarlyStopping.NO_BETTER_POSSIBLE
    no_repeat_ngram_size: int | None = None
    repetition_penalty: float = 1.0
    banned_phrases: tuple[str, ...] = ()
    diverse_beams: DiverseBeams | None = None
    return_alignments: bool = False
    split_sentences: bool = False
    sampling: SamplingOptions | None = None
    seed: int = 0

    @property
    def width(self) -> int:
        """Hypotheses of one sentence that are decoded at the same time."""
        return self.beam_width if self.sampling is None else self.n_best

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is."""
        found = []
        if not 1 <= self.beam_width <= MAX_BEAM_WIDTH:
            found.append(("beam_width", f"is {self.beam_width}; give 1 to {MAX_BEAM_WIDTH}"))
        most, limit = max(self.beam_width, 1), f"beam_width ({self.beam_width})"
        if self.sampling is not None:
            most, limit = MAX_SAMPLES, f"{MAX_SAMPLES} with sampling"
        if not 1 <= self.n_best <= most:
            found.append(("n_best", f"is {self.n_best}; give 1 to {limit}"))
        if not 0.0 <= self.length_penalty <= 10.0:  # NaN fails too
            found.append(("length_penalty", f"is {self.length_penalty}; give 0.0 to 10.0"))
        found += self._length_problems()
        if not 0.0 <= self.coverage_penalty <= 100.0:
            found.append(("coverage_penalty", f"is {self.coverage_penalty}; give 0.0 to 100.0"))
        if self.no_repeat_ngram_size is not None and self.no_repeat_ngram_size < 1:
            found.append(
                ("no_repeat_ngram_size", f"is {self.no_repeat_ngram_size}; give 1 or more")
            )
        if not 1.0 <= self.repetition_penalty <= _MOST_REPETITION_PENALTY:
            limit = f"give 1 to {_MOST_REPETITION_PENALTY:,}"
            found.append(("repetition_penalty", f"is {self.repetition_penalty}; {limit}"))
        found += self._diversity_problems()
        if self.seed < 0:
            found.append(("sampling.seed", f"is {self.seed}; give a whole number from 0"))
        for one in self.sampling.violations() if self.sampling is not None else []:
            found.append((f"sampling.{one.field}", one.description))
        found += self._problems_with_sampling()
        violations = [FieldViolation(field=name, description=problem) for name, problem in found]
        banned = phrase_violations("banned_phrases", self.banned_phrases, MAX_BANNED_PHRASES)
        return violations + banned

    def _diversity_problems(self) -> list[tuple[str, str]]:
        diverse, found = self.diverse_beams, []
        if diverse is None:
            return []
        if not 2 <= diverse.groups <= self.beam_width or self.beam_width % diverse.groups:
            text = f"is {diverse.groups}; give 2 or more that divide beam_width ({self.beam_width})"
            found.append(("diverse_beams.groups", text))
        if not 0.0 <= diverse.strength <= _MOST_STRENGTH:
            text = f"is {diverse.strength}; give 0 to {_MOST_STRENGTH:,}"
            found.append(("diverse_beams.strength", text))
        return found

    def _problems_with_sampling(self) -> list[tuple[str, str]]:
        """Rules of a search that would have no effect on what is drawn."""
        given = {
            "banned_phrases": bool(self.banned_phrases),
            "repetition_penalty": self.repetition_penalty != 1.0,
            "diverse_beams": self.diverse_beams is not None,
        }
        text = "cannot be combined with sampling; leave one of them unset"
        return [(name, text) for name, is_set in given.items() if is_set and self.sampling]

    def _length_problems(self) -> list[tuple[str, str]]:
        found = []
        most, ratio = self.max_length, self.max_length_ratio
        if most is not None and not 1 <= most <= _LONGEST:
            found.append(("max_length", f"is {most}; give 1 to {_LONGEST:,} pieces"))
            most = None
        if not 0 <= self.min_length <= (most or _LONGEST):
            text = f"is {self.min_length}; give 0 to max_length ({most or _LONGEST:,})"
            found.append(("min_length", text))
        if ratio is not None and not 0.0 < ratio <= _LONGEST:  # NaN fails too
            found.append(("max_length_ratio", f"is {ratio}; give a number above 0"))
            ratio = None
        if not 0.0 <= self.min_length_ratio <= (ratio or _LONGEST):
            text = f"is {self.min_length_ratio}; give 0 or more, at most max_length_ratio"
            found.append(("min_length_ratio", text))
        return found

    def length_limits(self, source_length: int) -> tuple[int, int]:
        """Fewest and most target pieces for a source of that many, eos counted in the source."""
        most = self.max_length or 2 * source_length + 20
        if self.max_length_ratio is not None:
            most = min(most, max(1, math.floor(self.max_length_ratio * source_length)))
        fewest = max(self.min_length, math.ceil(self.min_length_ratio * source_length))
        return min(fewest, most), most
