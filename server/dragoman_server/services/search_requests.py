"""What a search of word vectors is asked for, as the models take it, and what is wrong with it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman_models.embeddings import word_lookup, word_queries
from dragoman_models.errors import DragomanError, FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import with_root
from dragoman_server.model_protocols import WordVectorModel
from dragoman_server.services.counts import count_violations

DEFAULT_K = 10
MOST_K = 1_000
MOST_TERMS = 100
MOST_EXCLUDED_WORDS = 10_000

LOOKUPS = {
    pb.WORD_LOOKUP_UNSPECIFIED: word_lookup.WordLookup.CASE_FALLBACK,
    pb.WORD_LOOKUP_CASE_FALLBACK: word_lookup.WordLookup.CASE_FALLBACK,
    pb.WORD_LOOKUP_EXACT: word_lookup.WordLookup.EXACT,
}
ANALOGY_METHODS = {
    pb.ANALOGY_METHOD_UNSPECIFIED: word_queries.AnalogyMethod.THREE_COS_ADD,
    pb.ANALOGY_METHOD_THREE_COS_ADD: word_queries.AnalogyMethod.THREE_COS_ADD,
    pb.ANALOGY_METHOD_THREE_COS_MUL: word_queries.AnalogyMethod.THREE_COS_MUL,
}
_SEARCH_METHODS = {
    pb.SEARCH_METHOD_UNSPECIFIED: word_queries.SearchMethod.EXACT,
    pb.SEARCH_METHOD_EXACT: word_queries.SearchMethod.EXACT,
    pb.SEARCH_METHOD_APPROXIMATE: word_queries.SearchMethod.APPROXIMATE,
}


def search_violations(
    field: str, count: int, options: pb.SearchOptions, limits: Limits
) -> list[FieldViolation]:
    """What is wrong with a search for `count` items of the list `field`, whatever the model."""
    violations = count_violations(field, count, limits.queries)
    k = _k(options)
    if not 1 <= k <= MOST_K:
        text = f"is {k:,}; give 1 to {MOST_K:,}"
        violations.append(FieldViolation(field="options.k", description=text))
    elif count * k > limits.neighbors:
        text = f"is {k:,}, which for {count:,} {field} makes more than {limits.neighbors:,} answers"
        violations.append(
            FieldViolation(field="options.k", description=f"{text}; lower it or divide them")
        )
    if len(options.excluded_words) > MOST_EXCLUDED_WORDS:
        text = f"has {len(options.excluded_words):,} words; give at most {MOST_EXCLUDED_WORDS:,}"
        violations.append(FieldViolation(field="options.excluded_words", description=text))
    return violations


def search_options(options: pb.SearchOptions, model: WordVectorModel) -> word_queries.SearchOptions:
    """The options as the model takes them."""
    return word_queries.SearchOptions(
        # Fewer come back where fewer qualify: that a small vocabulary has fewer words is no error.
        k=min(_k(options), model.vocabulary_size),
        lookup=LOOKUPS[options.lookup],
        include_query_words=options.include_query_words,
        excluded_words=tuple(options.excluded_words),
        max_rank=options.max_rank if options.HasField("max_rank") else None,
        min_score=options.min_score if options.HasField("min_score") else None,
        method=_SEARCH_METHODS[options.method],
    )


def nearest(
    model: WordVectorModel, queries: Sequence[pb.NearestQuery], options: word_queries.SearchOptions
) -> list[word_queries.Neighbors | DragomanError]:
    """What the model answers to each query; a query that is wrong in itself is not asked."""
    asked = [_query(query) for query in queries]
    good = [query for query in asked if not isinstance(query, DragomanError)]
    found = iter(with_option_paths(model.nearest, good, options))
    return [query if isinstance(query, DragomanError) else next(found) for query in asked]


def with_option_paths(
    search: Callable[..., list[word_queries.Neighbors | DragomanError]],
    items: Sequence[Any],
    options: word_queries.SearchOptions,
    *more: Any,
) -> list[word_queries.Neighbors | DragomanError]:
    """The search's answers; an error that it raises is one of the options."""
    try:
        return search(items, options, *more)
    except InvalidInputError as error:
        raise with_root(error, "options") from error


def _k(options: pb.SearchOptions) -> int:
    return options.k if options.HasField("k") else DEFAULT_K


def _query(query: pb.NearestQuery) -> "word_queries.NearestQuery | InvalidInputError":
    kind = query.WhichOneof("query")
    if kind == "vector":
        values = query.vector.values
        return np.fromiter(values, np.float64, count=len(values))  # (D,)
    if kind == "weighted_words":
        return _weighted_words(query.weighted_words)
    return query.word  # One without a query is an empty word, and gets the same error.


def _weighted_words(query: pb.WeightedWords) -> word_queries.WeightedWords | InvalidInputError:
    if len(query.words) > MOST_TERMS:
        return InvalidInputError.single(
            "weighted_words.words", f"has {len(query.words):,} terms; give 1 to {MOST_TERMS}"
        )
    return word_queries.WeightedWords(
        words=tuple(
            word_queries.WeightedWord(
                word=term.word, weight=term.weight if term.HasField("weight") else 1.0
            )
            for term in query.words
        )
    )
