"""Requests about words and their vectors."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.v1.embedding_service_pb2 import AnalogyMethod as AnalogyMethodMessage
from dragoman.v1.embedding_service_pb2 import (
    AnalogyQuestion,
    AnalogyRequest,
    EmbedRequest,
    NearestQuery,
    NearestRequest,
    SimilarityRequest,
    WordPair,
)
from dragoman.v1.embedding_service_pb2 import SearchMethod as SearchMethodMessage
from dragoman.v1.embedding_service_pb2 import SearchOptions as SearchOptionsMessage
from dragoman.v1.embedding_service_pb2 import WordLookup as WordLookupMessage
from dragoman.v1.evaluation_service_pb2 import EvaluateWordVectorsRequest, WordVectorTestSet
from dragoman_client.options import AnalogyMethod, SearchOptions, WordLookup
from dragoman_client.queries import Query, VectorQuery
from dragoman_client.requests.fields import (
    Model,
    enum_number,
    model_selector,
    set_number,
    text_field,
)
from dragoman_client.word_test_sets import JudgedPairs, WordTestSet


def embed_request(
    words: Sequence[str], *, model: Model, lookup: WordLookup | None, normalize: bool
) -> EmbedRequest:
    request = embed_words(words)
    request.model.CopyFrom(model_selector(model))
    request.normalize = normalize
    if lookup is not None:
        request.lookup = enum_number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def embed_words(words: Sequence[str]) -> EmbedRequest:
    """A batch of a stream that has begun."""
    return EmbedRequest(words=[text_field(word, f"words[{i}]") for i, word in enumerate(words)])


def similarity_request(
    pairs: Sequence[tuple[str, str]], *, model: Model, lookup: WordLookup | None
) -> SimilarityRequest:
    request = SimilarityRequest(model=model_selector(model))
    for i, (first, second) in enumerate(pairs):
        pair = WordPair(
            first=text_field(first, f"pairs[{i}].first"),
            second=text_field(second, f"pairs[{i}].second"),
        )
        request.pairs.append(pair)
    if lookup is not None:
        request.lookup = enum_number(WordLookupMessage, "WORD_LOOKUP", lookup)
    return request


def nearest_request(
    queries: Sequence[Query], *, model: Model, options: SearchOptions | None
) -> NearestRequest:
    request = nearest_queries(queries)
    request.model.CopyFrom(model_selector(model))
    if options is not None:
        request.options.CopyFrom(_search_options(options))
    return request


def nearest_queries(queries: Sequence[Query]) -> NearestRequest:
    """A batch of a stream that has begun."""
    messages = [_nearest_query(query, f"queries[{i}]") for i, query in enumerate(queries)]
    return NearestRequest(queries=messages)


def _nearest_query(query: Query, path: str) -> NearestQuery:
    if isinstance(query, str):
        return NearestQuery(word=text_field(query, f"{path}.word"))
    message = NearestQuery()
    if isinstance(query, VectorQuery):
        message.vector.SetInParent()  # also where it has no components, which the server refuses
        message.vector.values.extend(query.values)
        return message
    message.weighted_words.SetInParent()
    for i, (word, weight) in enumerate(query.terms):
        word = text_field(word, f"{path}.weighted_words.words[{i}].word")
        message.weighted_words.words.add(word=word, weight=weight)
    return message


def analogy_request(
    questions: Sequence[tuple[str, str, str]],
    *,
    model: Model,
    options: SearchOptions | None,
    method: AnalogyMethod | None,
) -> AnalogyRequest:
    request = AnalogyRequest(model=model_selector(model))
    if options is not None:
        request.options.CopyFrom(_search_options(options))
    if method is not None:
        request.method = enum_number(AnalogyMethodMessage, "ANALOGY_METHOD", method)
    for i, (a, b, c) in enumerate(questions):
        path = f"questions[{i}]"
        question = AnalogyQuestion(
            a=text_field(a, f"{path}.a"), b=text_field(b, f"{path}.b"), c=text_field(c, f"{path}.c")
        )
        request.questions.append(question)
    return request


def _search_options(options: SearchOptions) -> SearchOptionsMessage:
    message = SearchOptionsMessage(include_query_words=options.include_query_words)
    for name in ("k", "max_rank", "min_score"):
        set_number(message, name, getattr(options, name), f"options.{name}")
    for i, word in enumerate(options.excluded_words):
        message.excluded_words.append(text_field(word, f"options.excluded_words[{i}]"))
    if options.lookup is not None:
        message.lookup = enum_number(WordLookupMessage, "WORD_LOOKUP", options.lookup)
    if options.method is not None:
        message.method = enum_number(SearchMethodMessage, "SEARCH_METHOD", options.method)
    return message


def evaluate_word_vectors_request(
    test_sets: Sequence[WordTestSet],
    *,
    model: Model,
    lookup: WordLookup | None,
    analogy_method: AnalogyMethod | None,
    max_rank: int | None,
) -> EvaluateWordVectorsRequest:
    request = EvaluateWordVectorsRequest(model=model_selector(model))
    for i, test_set in enumerate(test_sets):
        request.test_sets.append(_test_set(test_set, f"test_sets[{i}]"))
    if lookup is not None:
        request.lookup = enum_number(WordLookupMessage, "WORD_LOOKUP", lookup)
    if analogy_method is not None:
        request.analogy_method = enum_number(AnalogyMethodMessage, "ANALOGY_METHOD", analogy_method)
    set_number(request, "max_rank", max_rank, "max_rank")
    return request


def _test_set(test_set: WordTestSet, path: str) -> WordVectorTestSet:
    message = WordVectorTestSet(name=text_field(test_set.name, f"{path}.name"))
    if isinstance(test_set, JudgedPairs):
        message.judged_pairs.SetInParent()
        for i, (first, second, judgement) in enumerate(test_set.pairs):
            at = f"{path}.judged_pairs.pairs[{i}]"
            message.judged_pairs.pairs.add(
                first=text_field(first, f"{at}.first"),
                second=text_field(second, f"{at}.second"),
                judgement=judgement,
            )
        return message
    message.solved_analogies.SetInParent()
    for i, words in enumerate(test_set.analogies):
        at = f"{path}.solved_analogies.analogies[{i}]"
        a, b, c, d = (text_field(word, f"{at}.{n}") for n, word in zip("abcd", words, strict=True))
        message.solved_analogies.analogies.add(a=a, b=b, c=c, d=d)
    return message
