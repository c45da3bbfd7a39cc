# Made from methods/word_vectors.py by scripts/generate_async_client.py.
# Change that file, then run `make async-client`.
# ruff: noqa: ASYNC109 - a timeout here is a deadline that the server learns of
"""The calls about words and their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from dragoman_client import calls
from dragoman_client.aio_methods.calling import AsyncCalling
from dragoman_client.calls import OneOrMany
from dragoman_client.options import AnalogyMethod, SearchOptions, WordLookup
from dragoman_client.queries import Query
from dragoman_client.requests.fields import Model
from dragoman_client.responses import ItemResult
from dragoman_client.results import Neighbors, Similarity, WordVector


class AsyncWordVectorMethods(AsyncCalling):
    """Words compared by their vectors."""

    # A str is a Sequence[str] as well: where the overloads overlap, the first one holds.

    @overload
    async def embed(  # type: ignore[overload-overlap]
        self,
        words: str,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> WordVector: ...

    @overload
    async def embed(
        self,
        words: Sequence[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> list[ItemResult[WordVector]]: ...

    async def embed(
        self,
        words: str | Sequence[str],
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        normalize: bool = False,
        timeout: float | None = None,
    ) -> OneOrMany[WordVector]:
        """The vector of a word, or of each of many; ``normalize`` scales them to length 1."""
        call = calls.embed(words, model=model, lookup=lookup, normalize=normalize)
        return await self._run(call, timeout)

    @overload
    async def similarity(
        self,
        first: str,
        second: str,
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> Similarity: ...

    @overload
    async def similarity(
        self,
        pairs: Sequence[tuple[str, str]],
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Similarity]]: ...

    async def similarity(
        self,
        first: str | Sequence[tuple[str, str]],
        second: str | None = None,
        /,
        *,
        model: Model = "",
        lookup: WordLookup | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Similarity]:
        """The cosine of two words, or of each of many pairs."""
        call = calls.similarity(first, second, model=model, lookup=lookup)
        return await self._run(call, timeout)

    @overload
    async def nearest(  # type: ignore[overload-overlap]
        self,
        queries: Query,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> Neighbors: ...

    @overload
    async def nearest(
        self,
        queries: Sequence[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Neighbors]]: ...

    async def nearest(
        self,
        queries: Query | Sequence[Query],
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Neighbors]:
        """The words nearest to a word, a vector or a weighted sum of words, or to each of many."""
        call = calls.nearest(queries, model=model, options=options)
        return await self._run(call, timeout)

    @overload
    async def analogy(
        self,
        a: str,
        b: str,
        c: str,
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> Neighbors: ...

    @overload
    async def analogy(
        self,
        questions: Sequence[tuple[str, str, str]],
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Neighbors]]: ...

    async def analogy(
        self,
        a: str | Sequence[tuple[str, str, str]],
        b: str | None = None,
        c: str | None = None,
        /,
        *,
        model: Model = "",
        options: SearchOptions | None = None,
        method: AnalogyMethod | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Neighbors]:
        """Completes "a is to b as c is to ...", or each of many such questions.

        ``method`` is how a candidate is scored; THREE_COS_ADD unless it says otherwise.
        """
        call = calls.analogy(a, b, c, model=model, options=options, method=method)
        return await self._run(call, timeout)
