# Made from methods/translation.py by scripts/generate_async_client.py.
# Change that file, then run `make async-client`.
# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""The calls about translations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from dragoman_client import calls
from dragoman_client.aio_methods.calling import AsyncCalling
from dragoman_client.calls import OneOrMany
from dragoman_client.options import LengthNormalization, ScoringOptions, TranslationOptions
from dragoman_client.requests.fields import Model
from dragoman_client.requests.translation import PhrasesOfEach
from dragoman_client.responses import ItemResult
from dragoman_client.results import Hypothesis, Translation, TranslationScores


class AsyncTranslationMethods(AsyncCalling):
    """Texts translated, and translations judged."""

    # A str is a Sequence[str] as well: where the overloads overlap, the first one holds.

    @overload
    async def translate(  # type: ignore[overload-overlap]
        self,
        sources: str,
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str = "",
        required_phrases: Sequence[str] = (),
        banned_phrases: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Translation: ...

    @overload
    async def translate(
        self,
        sources: Sequence[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str | Sequence[str] = "",
        required_phrases: PhrasesOfEach = (),
        banned_phrases: PhrasesOfEach = (),
        timeout: float | None = None,
    ) -> list[ItemResult[Translation]]: ...

    async def translate(
        self,
        sources: str | Sequence[str],
        *,
        model: Model = "",
        options: TranslationOptions | None = None,
        target_prefix: str | Sequence[str] = "",
        required_phrases: PhrasesOfEach = (),
        banned_phrases: PhrasesOfEach = (),
        timeout: float | None = None,
    ) -> OneOrMany[Translation]:
        """Translates a text, or each of many.

        ``target_prefix`` is what each translation begins with: one for all, or one for each.
        ``required_phrases`` is what each contains, ``banned_phrases`` what none does, beside those
        of the options: a list for all texts, or a list for each.
        """
        call = calls.translate(
            sources, model=model, options=options, target_prefix=target_prefix,
            required_phrases=required_phrases, banned_phrases=banned_phrases,
        )  # fmt: skip
        return await self._run(call, timeout)

    async def score_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        model: Model = "",
        length_normalization: LengthNormalization | None = None,
        length_penalty: float | None = None,
        return_alignments: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[Hypothesis]]:
        """How probable given translations are: pairs of a source and its translation."""
        call = calls.score_targets(
            pairs, model=model, length_normalization=length_normalization,
            length_penalty=length_penalty, return_alignments=return_alignments,
        )  # fmt: skip
        return await self._run(call, timeout)

    async def score(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        *,
        options: ScoringOptions | None = None,
        timeout: float | None = None,
    ) -> TranslationScores:
        """BLEU, chrF and TER of translations, against one reference each."""
        call = calls.score(hypotheses, references, options=options)
        return await self._run(call, timeout)
