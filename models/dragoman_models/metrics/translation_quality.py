"""BLEU, chrF and TER of a corpus, by sacreBLEU, with the signatures that make them comparable."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from dragoman_models.errors import InvalidInputError

TOKENIZERS = ("13a", "char", "intl", "none", "zh")  # of sacreBLEU, those that need no download


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """A corpus score, 0 to 100 (TER: errors per 100 reference words), and its signature."""

    score: float
    signature: str


class TranslationMetric(enum.Enum):
    """BLEU (Papineni et al. 2002), chrF (Popovic 2015) and TER (Snover et al. 2006)."""

    BLEU = "bleu"
    CHRF = "chrf"
    TER = "ter"


ALL_METRICS = tuple(TranslationMetric)


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    metrics: Collection[TranslationMetric] = ALL_METRICS,
    lowercase: bool = False,
    tokenizer: str = "13a",
) -> dict[TranslationMetric, MetricScore]:
    """Scores detokenized hypotheses against one reference each, as the sacrebleu command does.

    By sacreBLEU's defaults, BLEU and chrF regard case and TER never does; signatures say so.

    Args:
        metrics: what to compute; TER takes by far the longest.
        lowercase: BLEU and chrF disregard case too (the command's ``--lowercase`` and
            ``--chrf-lowercase``).
        tokenizer: BLEU's, one of ``TOKENIZERS``.
    Raises:
        InvalidInputError: the two differ in length, are empty, or the tokenizer is unknown.
    """
    if len(hypotheses) != len(references):
        raise InvalidInputError.single(
            "references",
            f"has {len(references)} lines for {len(hypotheses)} hypotheses; give one for each",
        )
    if not hypotheses:
        raise InvalidInputError.single("hypotheses", "is empty; give at least one line")
    if tokenizer not in TOKENIZERS:
        raise InvalidInputError.single(
            "tokenizer", f"{tokenizer!r} is unknown; give one of {', '.join(TOKENIZERS)}"
        )
    scorers: dict[TranslationMetric, BLEU | CHRF | TER] = {
        TranslationMetric.BLEU: BLEU(lowercase=lowercase, tokenize=tokenizer),
        TranslationMetric.CHRF: CHRF(lowercase=lowercase),
        TranslationMetric.TER: TER(),
    }
    scores = {}
    for metric in metrics:
        scorer = scorers[metric]
        score = scorer.corpus_score(list(hypotheses), [list(references)]).score
        scores[metric] = MetricScore(score=score, signature=str(scorer.get_signature()))
    return scores


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> MetricScore:
    """BLEU alone, by sacreBLEU's defaults; raises as ``score_corpus`` does."""
    scores = score_corpus(hypotheses, references, metrics=(TranslationMetric.BLEU,))
    return scores[TranslationMetric.BLEU]


def tokenized_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> MetricScore:
    """BLEU of text that is tokenized already, tokens standing between blanks, as Moses's
    multi-bleu.perl computes it; with one reference each, and raises as ``score_corpus`` does."""
    if len(hypotheses) != len(references) or not hypotheses:
        return corpus_bleu(hypotheses, references)  # which says what is wrong
    scorer = BLEU(tokenize="none", smooth_method="none", force=True)  # force: no warning of tokens
    score = scorer.corpus_score(list(hypotheses), [list(references)]).score
    return MetricScore(score=score, signature=str(scorer.get_signature()))
