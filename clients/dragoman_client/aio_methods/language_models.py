# Made from methods/language_models.py by scripts/generate_async_client.py.
# Change that file, then run `make async-client`.
# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""The calls about the probability of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from dragoman_client import calls
from dragoman_client.aio_methods.calling import AsyncCalling
from dragoman_client.calls import OneOrMany
from dragoman_client.requests.fields import Model
from dragoman_client.responses import ItemResult
from dragoman_client.results import TextScore


class AsyncLanguageModelMethods(AsyncCalling):
    """Texts judged by a language model."""

    @overload
    async def score_texts(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        contexts: str | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> TextScore: ...

    @overload
    async def score_texts(
        self,
        texts: Sequence[str],
        *,
        contexts: Sequence[str] | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[TextScore]]: ...

    async def score_texts(
        self,
        texts: str | Sequence[str],
        *,
        contexts: str | Sequence[str] | None = None,
        model: Model = "",
        return_tokens: bool = False,
        exclude_end_of_text: bool = False,
        timeout: float | None = None,
    ) -> OneOrMany[TextScore]:
        """How probable a text is to a language model, or each of many, after its context."""
        call = calls.score_texts(
            texts, contexts, model=model, return_tokens=return_tokens,
            exclude_end_of_text=exclude_end_of_text,
        )  # fmt: skip
        return await self._run(call, timeout)
