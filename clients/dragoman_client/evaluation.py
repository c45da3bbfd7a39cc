"""Measures the quality of a model's translations of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dragoman_client.client import Client
from dragoman_client.errors import DragomanClientError
from dragoman_client.lines import Line, TranslatedLine, gather, translate_batch
from dragoman_client.options import ScoringOptions, TranslationOptions
from dragoman_client.requests.fields import Model
from dragoman_client.results import ModelVersion, Translation, TranslationScores

# Scoring takes longer the larger the corpus is, TER above all.
_SCORING_SECONDS_A_SEGMENT = 0.1


@dataclass(frozen=True, kw_only=True)
class TranslatedCorpus:
    """A corpus as a model translated it.

    Attributes:
        hypotheses: one line for each source; empty where the source is blank or failed.
        errors: what went wrong, by the index of the source.
        model: the version that translated; None if all sources are blank or failed.
    """

    hypotheses: tuple[str, ...]
    errors: dict[int, DragomanClientError]
    model: ModelVersion | None


def translate_corpus(
    client: Client,
    sources: Sequence[str],
    *,
    model: Model = "",
    options: TranslationOptions | None = None,
    on_translated: Callable[[Sequence[TranslatedLine]], None] = lambda _: None,
) -> TranslatedCorpus:
    """Translates a corpus batch by batch.

    Args:
        on_translated: called with each batch, in order, as it is ready.
    Raises:
        DragomanClientError: a call failed as a whole.
    """
    hypotheses: list[str] = []
    errors: dict[int, DragomanClientError] = {}
    answered_by: ModelVersion | None = None
    for batch in gather(Line(number=i, text=text) for i, text in enumerate(sources)):
        translated = translate_batch(client, batch, model=model, options=options)
        for one in translated:
            hypotheses.append(one.text)
            if isinstance(one.result, DragomanClientError):
                errors[one.line.number] = one.result
            elif isinstance(one.result, Translation):
                answered_by = one.result.model
        on_translated(translated)
    return TranslatedCorpus(hypotheses=tuple(hypotheses), errors=errors, model=answered_by)


def score_corpus(
    client: Client,
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    options: ScoringOptions | None = None,
) -> TranslationScores:
    """Scores lines as the sacrebleu command does, which drops white space at their ends.

    Raises:
        DragomanClientError: the call failed, or there is not one reference for each hypothesis.
    """
    return client.score(
        [line.rstrip() for line in hypotheses],
        [line.rstrip() for line in references],
        options=options,
        timeout=client.timeout + _SCORING_SECONDS_A_SEGMENT * len(hypotheses),
    )
