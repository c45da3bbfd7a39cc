"""Two ways to score a translation: as it is to be read, and as papers on Multi30k score it."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman_models.metrics.translation_quality import MetricScore, corpus_bleu, tokenized_bleu
from dragoman_models.translation.text_preparation import MosesText, Preparation

PLAIN, PAPER = "sacrebleu", "paper"


def protocol_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    language: str,
    preparation: Preparation = "none",
) -> dict[str, MetricScore]:
    """BLEU of hypotheses against raw references by each protocol that can be applied.

    ``sacrebleu`` is sacreBLEU's default: 13a, mixed case, detokenized. ``paper`` lowercases,
    normalizes and tokenizes both sides (`MosesText`) and counts tokens as multi-bleu.perl does.

    Args:
        language: of the hypotheses.
        preparation: what their model was trained on; one trained on lowercased tokens writes such,
            which has no mixed case to score.
    """
    moses = MosesText(language)
    prepared = [moses.prepare(reference) for reference in references]
    if preparation == "moses_lowercase":
        return {PAPER: tokenized_bleu(hypotheses, prepared)}
    return {
        PLAIN: corpus_bleu(hypotheses, references),
        PAPER: tokenized_bleu([moses.prepare(text) for text in hypotheses], prepared),
    }
