"""Word vectors that answer questions: embed, similarity, nearest words and analogies.

Every method takes many items and answers each by a value or by the error of that item alone; only
options that are wrong for all of them fail the call.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.approximate_index import ApproximateIndex
from dragoman_models.embeddings.cosine_index import (
    CosineIndex,
    CosMulRule,
    Float32Matrix,
    Float64Array,
    TopRows,
    unit_vector,
)
from dragoman_models.embeddings.subwords import SubwordVectors
from dragoman_models.embeddings.word_lookup import (
    ResolvedWord,
    VocabularyLookup,
    WordLookup,
    WordMatch,
)
from dragoman_models.embeddings.word_queries import (
    AnalogyMethod,
    AnalogyQuestion,
    EmbeddedWord,
    NearestQuery,
    Neighbor,
    Neighbors,
    SearchMethod,
    SearchOptions,
    WeightedWords,
    WordSimilarity,
)
from dragoman_models.errors import (
    DragomanError,
    FieldViolation,
    InvalidInputError,
    UnknownWordError,
)
from dragoman_models.vocabulary import Vocabulary

_COS_MUL_BATCH = 16
_SPARE_ROWS = 32  # searched beyond k at first, where more than that are excluded
_CANCELLED = 1e-6

_Rows: TypeAlias = list[tuple[int, float]]  # each with its score, the best first
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class _Point:
    """What one query is after its words were found: a direction, and rows that may not answer."""

    words: tuple[ResolvedWord, ...]
    vectors: tuple[Float64Array, ...]  # unit vectors, (D,) each
    left_out: frozenset[int]


class WordVectors:
    """V words, the most frequent first, and their vectors in D dimensions."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        matrix: Float32Matrix,
        *,
        subwords: SubwordVectors | None = None,
        approximate: ApproximateIndex | None = None,
    ) -> None:
        """`matrix` (V, D) holds the vector of word i in row i; it is kept, not copied.

        With `subwords`, words that the vocabulary lacks have vectors too. `approximate` is an index
        of the same rows.

        Raises ValueError for a shape that does not fit, or for a row that is not finite.
        """
        if matrix.ndim != 2 or matrix.dtype != np.float32 or matrix.shape[1] == 0:
            raise ValueError(f"vectors must be float32 (V, D), not {matrix.dtype} {matrix.shape}")
        if len(vocabulary) != len(matrix):
            raise ValueError(f"{len(vocabulary):,} words do not fit {len(matrix):,} vectors")
        if subwords is not None and subwords.dimensions != matrix.shape[1]:
            raise ValueError(f"subwords of {subwords.dimensions} numbers do not fit the vectors")
        self.vocabulary = vocabulary
        self.index = CosineIndex(matrix)
        self.subwords = subwords
        self.approximate = approximate
        self._lookup = VocabularyLookup(vocabulary, has_subwords=subwords is not None)

    @property
    def vocabulary_size(self) -> int:
        """V, the number of words."""
        return len(self.vocabulary)

    @property
    def dimensions(self) -> int:
        """D, the number of components of a vector."""
        return self.index.dimensions

    def resolve(
        self, word: str, lookup: WordLookup = WordLookup.CASE_FALLBACK, *, field: str = "word"
    ) -> ResolvedWord:
        """The entry for `word`, found as `lookup` says.

        Raises `InvalidInputError` for `field` where the word is blank or longer than 1,000
        characters, and `UnknownWordError`.
        """
        return self._lookup.resolve(word, lookup, field=field)

    def suggestions(self, word: str, *, count: int = 5) -> tuple[str, ...]:
        """Frequent entries that are spelt like `word`, the closest first. Takes milliseconds."""
        return self._lookup.suggestions(word, count=count)

    def embed(
        self,
        words: Sequence[str],
        *,
        normalize: bool = False,
        lookup: WordLookup = WordLookup.CASE_FALLBACK,
    ) -> list[EmbeddedWord | DragomanError]:
        """The vector of each word, scaled to length 1 where `normalize`."""

        def one(word: str) -> EmbeddedWord:
            resolved = self.resolve(word, lookup)
            if normalize:
                vector = self._direction(resolved, "word").astype(np.float32)
            else:
                vector = self._vector(resolved)
            return EmbeddedWord(word=resolved, vector=vector)

        return _each(one, words)

    def similarity(
        self, pairs: Sequence[tuple[str, str]], *, lookup: WordLookup = WordLookup.CASE_FALLBACK
    ) -> list[WordSimilarity | DragomanError]:
        """The cosine of each pair of words; errors name the field `first` or `second`."""

        def one(pair: tuple[str, str]) -> WordSimilarity:
            first, second = self._resolve_all(zip(("first", "second"), pair, strict=True), lookup)
            cosine = self._direction(first, "first") @ self._direction(second, "second")
            return WordSimilarity(
                first=first, second=second, cosine=float(np.clip(cosine, -1.0, 1.0))
            )

        return _each(one, pairs)

    def nearest(
        self, queries: Sequence[NearestQuery], options: SearchOptions | None = None
    ) -> list[Neighbors | DragomanError]:
        """The words whose vectors have the greatest cosine with each query.

        Raises `InvalidInputError` for options that are wrong: `k`, `max_rank`, `min_score`. An
        item's error names the field `word`, `vector` or `weighted_words`.
        """
        options = options or SearchOptions()
        self._check(options)
        points = _each(lambda query: self._point(query, options), queries)
        return self._answer(points, options, self._search_cosine)

    def analogy(
        self,
        questions: Sequence[AnalogyQuestion],
        options: SearchOptions | None = None,
        method: AnalogyMethod = AnalogyMethod.THREE_COS_ADD,
    ) -> list[Neighbors | DragomanError]:
        """The words that complete "a is to b as c is to ...", the three words left out.

        Raises `InvalidInputError` for wrong options; an item's error names the field `a`, `b` or
        `c`.
        """
        options = options or SearchOptions()
        self._check(options)
        points = _each(lambda question: self._analogy_point(question, options), questions)
        if method is AnalogyMethod.THREE_COS_MUL:
            return self._answer(points, options, self._search_cos_mul)
        added = _each(_three_cos_add, points)
        return self._answer(added, options, self._search_cosine)

    def _check(self, options: SearchOptions) -> None:
        wrong: list[FieldViolation] = []
        if not 1 <= options.k <= self.vocabulary_size:
            limits = f"1 to {self.vocabulary_size:,}, the vocabulary's size"
            wrong.append(FieldViolation(field="k", description=f"is {options.k}; give {limits}"))
        if options.max_rank is not None and options.max_rank < 1:
            text = f"is {options.max_rank}; give at least 1, or leave it out to search all words"
            wrong.append(FieldViolation(field="max_rank", description=text))
        if options.min_score is not None and not math.isfinite(options.min_score):
            text = f"is {options.min_score}; give a finite number"
            wrong.append(FieldViolation(field="min_score", description=text))
        if options.method is SearchMethod.APPROXIMATE and self.approximate is None:
            text = "is APPROXIMATE, but the model has no index, or faiss-cpu is not installed to "
            text += "read it; use EXACT"
            wrong.append(FieldViolation(field="method", description=text))
        if wrong:
            raise InvalidInputError(wrong)

    def _vector(self, word: ResolvedWord) -> NDArray[np.float32]:
        if word.match is WordMatch.SUBWORDS:
            made = self.subwords.vector(word.query) if self.subwords is not None else None
            if made is None:
                raise UnknownWordError(word.query)
            return made
        vector: NDArray[np.float32] = self.index.matrix[word.rank - 1].copy()
        return vector

    def _direction(self, word: ResolvedWord, field: str) -> Float64Array:
        vector = self._vector(word)
        if not vector.any():
            raise InvalidInputError.single(
                field, f"the vector of {word.matched_word!r} is all zeros: it has no direction"
            )
        if word.match is WordMatch.SUBWORDS:
            return unit_vector(vector)
        direction: Float64Array = self.index.unit_rows(np.array([word.rank - 1]))[0]
        return direction

    def _resolve_all(
        self, fields: Iterable[tuple[str, str]], lookup: WordLookup
    ) -> list[ResolvedWord]:
        return [self.resolve(word, lookup, field=field) for field, word in fields]

    def _point(self, query: NearestQuery, options: SearchOptions) -> _Point:
        if isinstance(query, str):
            word = self.resolve(query, options.lookup)
            return self._point_of([word], [self._direction(word, "word")], options)
        if isinstance(query, WeightedWords):
            return self._weighted_point(query, options)
        return self._point_of([], [self._checked_vector(query)], options)

    def _weighted_point(self, query: WeightedWords, options: SearchOptions) -> _Point:
        if not query.words:
            raise InvalidInputError.single("weighted_words.words", "is empty; give a word")
        words: list[ResolvedWord] = []
        directions: list[Float64Array] = []
        for position, term in enumerate(query.words):
            field = f"weighted_words.words[{position}]"
            if not math.isfinite(term.weight):
                raise InvalidInputError.single(
                    f"{field}.weight", f"is {term.weight}; give a finite number"
                )
            words.append(self.resolve(term.word, options.lookup, field=f"{field}.word"))
            directions.append(self._direction(words[-1], f"{field}.word"))
        weights = np.array([term.weight for term in query.words])  # (n,)
        largest = np.abs(weights).max()
        # Only the weights' ratios matter; by ratios, no sum can overflow.
        total = weights / (largest or 1.0) @ np.stack(directions)  # (n,) @ (n, D) -> (D,)
        if _cancels(total):
            raise InvalidInputError.single(
                "weighted_words", "the weighted sum cancels out: change the weights"
            )
        return self._point_of(words, [unit_vector(total)], options)

    def _analogy_point(self, question: AnalogyQuestion, options: SearchOptions) -> _Point:
        fields = [("a", question.a), ("b", question.b), ("c", question.c)]
        words = self._resolve_all(fields, options.lookup)
        directions = [self._direction(w, f) for w, (f, _) in zip(words, fields, strict=True)]
        return self._point_of(words, directions, options)

    def _point_of(
        self, words: list[ResolvedWord], vectors: list[Float64Array], options: SearchOptions
    ) -> _Point:
        left_out: frozenset[int] = frozenset()
        if not options.include_query_words:
            names = {word.query for word in words} | {word.matched_word for word in words}
            left_out = self._rows_of(names, options.lookup)
        return _Point(words=tuple(words), vectors=tuple(vectors), left_out=left_out)

    def _rows_of(self, names: Iterable[str], lookup: WordLookup) -> frozenset[int]:
        """The rows of those names that the vocabulary has, also in lower case where the lookup
        disregards case."""
        found = {self.vocabulary.index(name) for name in names}
        if lookup is WordLookup.CASE_FALLBACK:
            found |= {self.vocabulary.index(name.lower()) for name in names}
        return frozenset(row for row in found if row is not None)

    def _excluded_rows(self, options: SearchOptions) -> frozenset[int]:
        rows = self._rows_of(options.excluded_words, options.lookup)
        if options.lookup is WordLookup.CASE_FALLBACK:
            unknown = (name for name in options.excluded_words if name not in self.vocabulary)
            found = {self._lookup.index_ignoring_case(name) for name in unknown}
            rows |= {row for row in found if row is not None}
        return rows

    def _checked_vector(self, vector: NDArray[Any]) -> Float64Array:
        if vector.shape != (self.dimensions,):
            raise InvalidInputError.single(
                "vector", f"has shape {vector.shape}; give {self.dimensions} components"
            )
        if not np.isfinite(vector).all():
            raise InvalidInputError.single("vector", "holds NaN or infinity; give finite numbers")
        if not vector.any():
            raise InvalidInputError.single("vector", "is all zeros: it has no direction")
        return unit_vector(vector)

    def _answer(
        self,
        points: Sequence[_Point | DragomanError],
        options: SearchOptions,
        search: Callable[[list[_Point], int, SearchOptions], list[TopRows]],
    ) -> list[Neighbors | DragomanError]:
        """Search for all points at once, leaving the errors where they are."""
        good = [point for point in points if isinstance(point, _Point)]
        excluded = self._excluded_rows(options) if options.excluded_words else frozenset()
        found = iter(self._search_around(good, excluded, options, search))
        return [
            self._neighbors(point, *next(found)) if isinstance(point, _Point) else point
            for point in points
        ]

    def _search_around(
        self,
        points: list[_Point],
        excluded: frozenset[int],
        options: SearchOptions,
        search: Callable[[list[_Point], int, SearchOptions], list[TopRows]],
    ) -> list[tuple[_Rows, SearchMethod]]:
        """The k best rows of each point that are not left out.

        Few of many excluded rows are near a query. So at first only some more rows than k are
        searched, and then four times as many for those points that they do not fill.
        """
        answers: list[tuple[_Rows, SearchMethod]] = [([], options.method)] * len(points)
        most = max((len(point.left_out | excluded) for point in points), default=0)
        own = max((len(point.left_out) for point in points), default=0)
        spare = own + min(len(excluded), _SPARE_ROWS)
        wanting = list(range(len(points)))
        while wanting:
            spare = min(spare, most)
            found = search([points[i] for i in wanting], options.k + spare, options)
            for i, top in zip(wanting, found, strict=True):
                rows = _without(top, points[i].left_out | excluded)[: options.k]
                method = SearchMethod.EXACT if top.is_exact else SearchMethod.APPROXIMATE
                answers[i] = (rows, method)
            wanting = [
                i
                for i, top in zip(wanting, found, strict=True)
                if len(answers[i][0]) < options.k
                and spare < most
                and len(top.indices) == options.k + spare
            ]
            spare = 4 * spare
        return answers

    def _search_cosine(self, points: list[_Point], k: int, options: SearchOptions) -> list[TopRows]:
        if not points:
            return []
        queries = np.stack([point.vectors[0] for point in points])  # (B, D)
        limit = min(options.max_rank or self.vocabulary_size, self.vocabulary_size)
        guide = self.approximate if options.method is SearchMethod.APPROXIMATE else None
        if guide is None or not guide.serves(k=k, row_limit=limit):
            return self.index.nearest(queries, k=k, row_limit=limit, floor=_floor(options))
        proposed = guide.candidates(queries, k=k, row_limit=limit)
        found = self.index.best_of(proposed, queries, k=k, floor=_floor(options))
        # Fewer than were asked for only where fewer qualify, which the guide cannot tell.
        return [
            replace(rows, is_exact=False)
            if len(candidates) >= k
            else self.index.nearest(query[None], k=k, row_limit=limit, floor=_floor(options))[0]
            for rows, candidates, query in zip(found, proposed, queries, strict=True)
        ]

    def _search_cos_mul(
        self, points: list[_Point], k: int, options: SearchOptions
    ) -> list[TopRows]:
        found: list[TopRows] = []
        for start in range(0, len(points), _COS_MUL_BATCH):
            batch = points[start : start + _COS_MUL_BATCH]
            a, b, c = (np.stack([point.vectors[i] for point in batch]) for i in range(3))
            rule = CosMulRule(self.index, a, b, c)
            found += self.index.search(rule, k=k, row_limit=options.max_rank, floor=_floor(options))
        return found

    def _neighbors(self, point: _Point, rows: _Rows, method: SearchMethod) -> Neighbors:
        return Neighbors(
            query_words=point.words,
            neighbors=tuple(
                Neighbor(word=self.vocabulary[row], score=score, rank=row + 1)
                for row, score in rows
            ),
            method=method,
        )


def _without(found: TopRows, left_out: frozenset[int]) -> _Rows:
    rows = zip(found.indices.tolist(), found.scores.tolist(), strict=True)
    return [(row, score) for row, score in rows if row not in left_out]


def _floor(options: SearchOptions) -> float:
    return -math.inf if options.min_score is None else options.min_score


def _three_cos_add(point: _Point | DragomanError) -> _Point:
    """The point b - a + c of an analogy."""
    if isinstance(point, DragomanError):
        raise point
    a, b, c = point.vectors
    target = b - a + c
    if _cancels(target):
        raise InvalidInputError.single("c", "b - a + c cancels out: it has no direction")
    return _Point(words=point.words, vectors=(unit_vector(target),), left_out=point.left_out)


def _cancels(total: Float64Array) -> bool:
    """Whether a sum of unit vectors is nothing but the rounding of float32 vectors."""
    return float(np.linalg.norm(total)) < _CANCELLED


def _each(answer: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer | DragomanError]:
    """The answer to each item, or the error that it alone met."""
    answers: list[Answer | DragomanError] = []
    for item in items:
        try:
            answers.append(answer(item))
        except DragomanError as error:
            answers.append(error)
    return answers
