"""BLEU, chrF and TER of a corpus, by sacreBLEU, with the signatures that make them comparable."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, kw_only=True)
class CorpusScores:
    """BLEU (Papineni et al. 2002), chrF (Popovic 2015) and TER (Snover et al. 2006)."""

    bleu: MetricScore
    chrf: MetricScore
    ter: MetricScore


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokenizer: str = "13a",
) -> CorpusScores:
    """Scores detokenized hypotheses against one reference each, as the sacrebleu command does.

    By sacreBLEU's defaults, BLEU and chrF regard case and TER never does; signatures say so.

    Args:
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
    bleu = BLEU(lowercase=lowercase, tokenize=tokenizer)
    chrf = CHRF(lowercase=lowercase)
    ter = TER()
    scores = [
        MetricScore(
            score=metric.corpus_score(list(hypotheses), [list(references)]).score,
            signature=str(metric.get_signature()),
        )
        for metric in (bleu, chrf, ter)
    ]
    return CorpusScores(bleu=scores[0], chrf=scores[1], ter=scores[2])
