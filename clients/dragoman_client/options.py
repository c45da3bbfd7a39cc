"""How to translate, search and score: what a caller may choose.

None always means the server's default, which the documentation names.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragoman_client.requests.fields import Model

# The value of each member, in capitals, is what the API's enum calls it.


class WordLookup(enum.Enum):
    """How a word is found in the vocabulary."""

    CASE_FALLBACK = "case_fallback"
    """As it is written; if that is missing, in another case. The answer says which."""
    EXACT = "exact"
    """Only as it is written."""


class SearchMethod(enum.Enum):
    """Whether the nearest words must be exactly right."""

    EXACT = "exact"
    """Compares with every word."""
    APPROXIMATE = "approximate"
    """By the index in the model's bundle: faster, and may miss a neighbour."""


class AnalogyMethod(enum.Enum):
    """How a candidate d is scored for a : b :: c : d (Levy and Goldberg 2014)."""

    THREE_COS_ADD = "three_cos_add"
    """cos(d, b - a + c)"""
    THREE_COS_MUL = "three_cos_mul"
    """cos'(d, b) cos'(d, c) / (cos'(d, a) + 0.001), where cos' = (cos + 1) / 2"""


class LengthNormalization(enum.Enum):
    """How beam search makes hypotheses Y of different lengths |Y| (in tokens) comparable."""

    NONE = "none"
    """score = log P(Y)"""
    AVERAGE = "average"
    """score = log P(Y) / |Y|"""
    WU_2016 = "wu_2016"
    """score = log P(Y) / ((5 + |Y|) / 6)^length_penalty (Wu et al. 2016, equation 14)"""


class EarlyStopping(enum.Enum):
    """When beam search ends."""

    WHEN_NO_BETTER_IS_POSSIBLE = "when_no_better_is_possible"
    """When nothing unfinished can still beat the n_best-th finished translation."""
    WHEN_BEAM_IS_FINISHED = "when_beam_is_finished"
    """As soon as beam_width translations are finished: faster, and may miss a better one."""
    NEVER = "never"
    """At the maximum length only."""


class SentenceSplitting(enum.Enum):
    """What happens with a text of several sentences."""

    WHOLE_TEXT = "whole_text"
    """It is translated as one sentence."""
    AT_SENTENCE_ENDS = "at_sentence_ends"
    """It is translated sentence by sentence, and joined with its own spacing."""


class TranslationMetric(enum.Enum):
    """A measure of translation quality, as sacreBLEU computes it for a corpus."""

    BLEU = "bleu"
    CHRF = "chrf"
    TER = "ter"


class BleuTokenizer(enum.Enum):
    """How BLEU divides texts into words: sacreBLEU's option of the same name."""

    MTEVAL_13A = "13a"
    INTL = "intl"
    CHAR = "char"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """From what tokens are drawn; the filters apply in this order.

    Attributes:
        temperature: divides the logits, 0 (the most probable token) to 100. Default 1.
        top_k: draws among this many most probable tokens.
        top_p: draws among the fewest that together have this probability. Default 1, no limit.
        min_p: draws among those at least this many times as probable as the best. Default 0.
        typical_p: draws among the most typical that together have this probability. Default 1.
        seed: the same seed draws the same, whatever else the server does. Default: the server
            draws one, and tells it.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to translate.

    Attributes:
        beam_width: hypotheses that beam search keeps, 1 (greedy) to 64. Default 5.
        n_best: translations of each text, best first, 1 to ``beam_width``. Default 1.
        length_normalization: how scores are made comparable. Default WU_2016.
        length_penalty: alpha of WU_2016, 0 to 10; higher favours longer texts. Default 1.
        max_length: most tokens of a translation, 1 to 10,000. Default: twice the source's and 20.
        min_length: fewest tokens of a translation, at most ``max_length``. Default 0.
        max_length_ratio, min_length_ratio: the same for each token of the source; of two limits
            the tighter holds. Default: no such limits.
        coverage_penalty: beta of Wu et al. 2016, 0 to 100; higher favours translations that leave
            nothing of the source unread. Default 0.
        early_stopping: when the search ends. Default WHEN_NO_BETTER_IS_POSSIBLE.
        no_repeat_ngram_size: no sequence of that many tokens occurs twice. Default: no such rule.
        repetition_penalty: divides the probability of tokens that occurred, at least 1. Default 1.
        banned_phrases: what no translation contains as whole words; at most 64.
        diverse_groups: groups of the beam that are pushed apart, 2 to ``beam_width``, which it
            must divide. Default: one beam.
        diversity_strength: what a token costs for each time that an earlier group chose it, 0 to
            1,000. Default 0.5, with ``diverse_groups`` only.
        return_tokens: also returns each translation's tokens and their log-probabilities.
        return_alignments: also returns the attention of each translation to its source.
        sampling: draws ``n_best`` translations, 1 to 64, instead of searching. Default: a search.
        ensemble_models: other models whose probabilities are averaged with the first's, at most 7,
            of the same languages and vocabulary.
        sentence_splitting: what happens with a text of several sentences. Default AT_SENTENCE_ENDS.
    """

    beam_width: int | None = None
    n_best: int | None = None
    length_normalization: LengthNormalization | None = None
    length_penalty: float | None = None
    max_length: int | None = None
    min_length: int | None = None
    max_length_ratio: float | None = None
    min_length_ratio: float | None = None
    coverage_penalty: float | None = None
    early_stopping: EarlyStopping | None = None
    no_repeat_ngram_size: int | None = None
    repetition_penalty: float | None = None
    banned_phrases: Sequence[str] = ()
    diverse_groups: int | None = None
    diversity_strength: float | None = None
    return_tokens: bool = False
    return_alignments: bool = False
    sampling: SamplingOptions | None = None
    ensemble_models: Sequence[Model] = ()
    sentence_splitting: SentenceSplitting | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to continue a text: by sampling, or with ``beam_width`` by beam search.

    Attributes:
        temperature: divides the logits, 0 (the most probable token) to 100. Default 1.
        top_k: draws among this many most probable tokens.
        top_p: draws among the fewest that together have this probability. Default 1, no limit.
        min_p: draws among those at least this many times as probable as the best. Default 0.
        typical_p: draws among the most typical that together have this probability. Default 1.
        seed: the same seed draws the same text. Default: the server draws one.
        sample_count: continuations, 1 to 64. Default 1.
        max_tokens, min_tokens: 1 to 10,000, and 0 to ``max_tokens``. Default 100 and 0.
        stop_strings: the text ends before the first of them.
        repetition_penalty: divides the probability of tokens that occurred. Default 1.
        no_repeat_ngram_size: no sequence of so many tokens occurs twice.
        beam_width, n_best, length_normalization, length_penalty: as for translations; with any of
            them the most probable texts are searched, and only ``max_tokens`` goes with them.
        return_tokens: also returns the tokens and their log-probabilities.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    seed: int | None = None
    sample_count: int | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop_strings: tuple[str, ...] = ()
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    beam_width: int | None = None
    n_best: int | None = None
    length_normalization: LengthNormalization | None = None
    length_penalty: float | None = None
    return_tokens: bool = False


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Which words a search for the nearest gives.

    Attributes:
        k: words for each query, 1 to 1,000. Default 10.
        lookup: how the words of a query are found. Default CASE_FALLBACK.
        include_query_words: lets the words of a query be among its answers.
        excluded_words: words that are not to be answered, at most 10,000; those that the model
            does not know have no effect.
        max_rank: searches only this many most frequent words. Default: all.
        min_score: answers only words with at least this score. Default: all.
        method: APPROXIMATE is for models with an index, and is answered exactly where the filters
            leave few candidates; ``Neighbors.method`` says how it was done. Default EXACT.
    """

    k: int | None = None
    lookup: WordLookup | None = None
    include_query_words: bool = False
    excluded_words: Sequence[str] = ()
    max_rank: int | None = None
    min_score: float | None = None
    method: SearchMethod | None = None


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """How translations are scored.

    Attributes:
        metrics: what to compute. Empty means all three.
        lowercase: compares without regard to case.
        bleu_tokenizer: how BLEU divides texts into words. Default 13a.
    """

    metrics: tuple[TranslationMetric, ...] = ()
    lowercase: bool = False
    bleu_tokenizer: BleuTokenizer | None = None


@dataclass(frozen=True, kw_only=True)
class DetectionOptions:
    """Which objects in an image are answered; None is the server's default.

    Attributes:
        score_threshold: least score, 0 to 1; None is the model's own.
        iou_threshold: of two objects of one class whose boxes overlap by more than this
            intersection over union, only that of the higher score is answered; above 0, up to 1.
        max_detections: most objects an image, 1 to 1,000.
    """

    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
