"""EmbeddingService: words looked up and compared."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman.v1 import embedding_service_pb2_grpc, vector_pb2
from dragoman_models.embeddings import word_vectors as wv
from dragoman_models.errors import DragomanError, FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status, with_root
from dragoman_server.errors import NotServedError
from dragoman_server.model_protocols import WordVectorModel
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import EMBEDDING_SERVICE
from dragoman_server.services.counts import count_violations
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.work_queue import CancelFlag, WorkQueue

Item = TypeVar("Item")

_DEFAULT_K = 10
_MOST_K = 1_000
# Items between two looks at the flag of a gone caller: some hundredths of a second of work.
_WORDS_AT_ONCE = 500
_SEARCHES_AT_ONCE = 64

_LOOKUPS = {
    pb.WORD_LOOKUP_UNSPECIFIED: wv.WordLookup.CASE_FALLBACK,
    pb.WORD_LOOKUP_CASE_FALLBACK: wv.WordLookup.CASE_FALLBACK,
    pb.WORD_LOOKUP_EXACT: wv.WordLookup.EXACT,
}
_MATCHES = {  # by the value of WordMatch
    "exact": pb.WORD_MATCH_EXACT,
    "ignoring-case": pb.WORD_MATCH_IGNORING_CASE,
    "subwords": pb.WORD_MATCH_SUBWORDS,
}


class EmbeddingService(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """Answers with the word vectors of the repository."""

    def __init__(self, repository: ModelRepository, queue: WorkQueue, limits: Limits) -> None:
        self._repository = repository
        self._queue = queue
        self._limits = limits

    async def Embed(self, request: pb.EmbedRequest, context: object) -> pb.EmbedResponse:
        _require(count_violations("words", len(request.words), self._limits.words))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        return await self._queue.run(lambda flag: _embed(version, request, flag))

    async def Similarity(
        self, request: pb.SimilarityRequest, context: object
    ) -> pb.SimilarityResponse:
        _require(count_violations("pairs", len(request.pairs), self._limits.pairs))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        return await self._queue.run(lambda flag: _similarity(version, request, flag))

    async def Nearest(self, request: pb.NearestRequest, context: object) -> pb.NearestResponse:
        _require(self._search_violations("queries", len(request.queries), request.options))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        return await self._queue.run(lambda flag: _nearest(version, request, flag))

    async def Analogy(self, request: pb.AnalogyRequest, context: object) -> pb.AnalogyResponse:
        _require(self._search_violations("questions", len(request.questions), request.options))
        version = selected(self._repository, EMBEDDING_SERVICE, request.model)
        return await self._queue.run(lambda flag: _analogy(version, request, flag))

    async def EmbedStream(self, request_iterator: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{EMBEDDING_SERVICE}/EmbedStream")

    async def NearestStream(self, request_iterator: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{EMBEDDING_SERVICE}/NearestStream")

    def _search_violations(
        self, field: str, count: int, options: pb.SearchOptions
    ) -> list[FieldViolation]:
        violations = count_violations(field, count, self._limits.queries)
        k = _k(options)
        if not 1 <= k <= _MOST_K:
            text = f"is {k:,}; give 1 to {_MOST_K:,}"
            violations.append(FieldViolation(field="options.k", description=text))
        elif count * k > self._limits.neighbors:
            most = self._limits.neighbors
            text = f"is {k:,}, which for {count:,} {field} makes more than {most:,} answers"
            violations.append(
                FieldViolation(field="options.k", description=f"{text}; lower it or divide them")
            )
        return violations


def _embed(version: ModelVersion, request: pb.EmbedRequest, flag: CancelFlag) -> pb.EmbedResponse:
    model: WordVectorModel = version.model
    response = pb.EmbedResponse(model=answered_by(version), dimensions=model.dimensions)
    lookup = _LOOKUPS[request.lookup]
    for words in _chunks(request.words, _WORDS_AT_ONCE, flag):
        for found in model.embed(words, normalize=request.normalize, lookup=lookup):
            result = response.results.add()
            if isinstance(found, DragomanError):
                root = f"words[{len(response.results) - 1}]"
                result.error.CopyFrom(item_status(_at_item(found), root))
            else:
                result.word_vector.word.CopyFrom(_resolved(found.word))
                result.word_vector.vector.CopyFrom(vector_pb2.Vector(values=found.vector.tolist()))
    return response


def _similarity(
    version: ModelVersion, request: pb.SimilarityRequest, flag: CancelFlag
) -> pb.SimilarityResponse:
    model: WordVectorModel = version.model
    response = pb.SimilarityResponse(model=answered_by(version))
    lookup = _LOOKUPS[request.lookup]
    for pairs in _chunks(request.pairs, _WORDS_AT_ONCE, flag):
        words = [(pair.first, pair.second) for pair in pairs]
        for found in model.similarity(words, lookup=lookup):
            result = response.results.add()
            if isinstance(found, DragomanError):
                root = f"pairs[{len(response.results) - 1}]"
                result.error.CopyFrom(item_status(found, root))
            else:
                result.similarity.cosine = found.cosine
                result.similarity.first.CopyFrom(_resolved(found.first))
                result.similarity.second.CopyFrom(_resolved(found.second))
    return response


def _nearest(
    version: ModelVersion, request: pb.NearestRequest, flag: CancelFlag
) -> pb.NearestResponse:
    model: WordVectorModel = version.model
    response = pb.NearestResponse(model=answered_by(version))
    options = _search_options(request.options, model)
    for queries in _chunks(request.queries, _SEARCHES_AT_ONCE, flag):
        # A query without a word is an empty word, and gets the same error.
        words = [query.word for query in queries]
        for found in _with_option_paths(model.nearest, words, options):
            result = response.results.add()
            if isinstance(found, DragomanError):
                root = f"queries[{len(response.results) - 1}]"
                result.error.CopyFrom(item_status(found, root))
            else:
                _fill(result.neighbors, found)
    return response


def _analogy(
    version: ModelVersion, request: pb.AnalogyRequest, flag: CancelFlag
) -> pb.AnalogyResponse:
    model: WordVectorModel = version.model
    response = pb.AnalogyResponse(model=answered_by(version))
    options = _search_options(request.options, model)
    for asked in _chunks(request.questions, _SEARCHES_AT_ONCE, flag):
        questions = [wv.AnalogyQuestion(a=one.a, b=one.b, c=one.c) for one in asked]
        for found in _with_option_paths(model.analogy, questions, options):
            result = response.results.add()
            if isinstance(found, DragomanError):
                root = f"questions[{len(response.results) - 1}]"
                result.error.CopyFrom(item_status(found, root))
            else:
                _fill(result.answers, found)
    return response


def _with_option_paths(search: Any, items: Sequence[Any], options: wv.SearchOptions) -> Any:
    """The search's answers; an error that it raises is one of the options."""
    try:
        return search(items, options)
    except InvalidInputError as error:
        raise with_root(error, "options") from error


def _search_options(options: pb.SearchOptions, model: WordVectorModel) -> wv.SearchOptions:
    return wv.SearchOptions(
        # Fewer come back where fewer qualify: that a small vocabulary has fewer words is no error.
        k=min(_k(options), model.vocabulary_size),
        lookup=_LOOKUPS[options.lookup],
        include_query_words=options.include_query_words,
    )


def _k(options: pb.SearchOptions) -> int:
    return options.k if options.HasField("k") else _DEFAULT_K


def _fill(message: pb.Neighbors, found: wv.Neighbors) -> None:
    message.method = pb.SEARCH_METHOD_EXACT
    message.query_words.extend(_resolved(word) for word in found.query_words)
    message.neighbors.extend(
        pb.Neighbor(word=one.word, score=one.score, rank=one.rank) for one in found.neighbors
    )


def _resolved(word: wv.ResolvedWord) -> pb.ResolvedWord:
    return pb.ResolvedWord(word=word.matched_word, match=_MATCHES[word.match.value], rank=word.rank)


def _at_item(error: DragomanError) -> DragomanError:
    """An error whose field is the item itself, where the items are plain words."""
    if not isinstance(error, InvalidInputError):
        return error
    return InvalidInputError(
        [FieldViolation(field="", description=one.description) for one in error.violations]
    )


def _chunks(items: Sequence[Item], size: int, flag: CancelFlag) -> Iterator[Sequence[Item]]:
    """The items, some at a time, for as long as the caller is there."""
    for start in range(0, len(items), size):
        flag.check()
        yield items[start : start + size]


def _require(violations: list[FieldViolation]) -> None:
    if violations:
        raise InvalidInputError(violations)
