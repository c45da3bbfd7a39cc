"""The answers of EmbeddingService, each item's value or its own status.

The functions that take a flag answer one request, and look at the flag of a gone caller every few
hundredths of a second. Those that give results take items of several requests at once.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from dragoman.v1 import embedding_service_pb2 as pb
from dragoman_models.embeddings import word_lookup, word_queries
from dragoman_models.errors import (
    DragomanError,
    FieldViolation,
    InvalidInputError,
    UnknownWordError,
)
from dragoman_server.error_status import item_status
from dragoman_server.model_protocols import WordVectorModel
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.model_selection import answered_by
from dragoman_server.services.search_requests import (
    ANALOGY_METHODS,
    LOOKUPS,
    nearest,
    search_options,
    with_option_paths,
)
from dragoman_server.services.vector_message import vector_message
from dragoman_server.work_queue import CancelFlag

Item = TypeVar("Item")

# Items between two looks at the flag of a gone caller: some hundredths of a second of work.
_WORDS_AT_ONCE = 500
_SEARCHES_AT_ONCE = 64
# Looking for one takes milliseconds, so a request of a thousand unknown words gets no more.
_MOST_SUGGESTED = 20

_MATCHES = {  # by the value of WordMatch
    "exact": pb.WORD_MATCH_EXACT,
    "ignoring-case": pb.WORD_MATCH_IGNORING_CASE,
    "subwords": pb.WORD_MATCH_SUBWORDS,
}
_METHODS = {  # by the value of SearchMethod
    "exact": pb.SEARCH_METHOD_EXACT,
    "approximate": pb.SEARCH_METHOD_APPROXIMATE,
}


def embed(
    version: ModelVersion, request: pb.EmbedRequest, flag: CancelFlag, root: str = ""
) -> pb.EmbedResponse:
    """The vectors of the words; `root` is the request's path where it is part of another."""
    model: WordVectorModel = version.model
    response = pb.EmbedResponse(model=answered_by(version), dimensions=model.dimensions)
    errors = ItemErrors(model, f"{root}words", flag)
    lookup = LOOKUPS[request.lookup]
    for words in _chunks(request.words, _WORDS_AT_ONCE, flag):
        for found in model.embed(words, normalize=request.normalize, lookup=lookup):
            result = response.results.add()
            if isinstance(found, DragomanError):
                errors.at(len(response.results) - 1).fill(result, _at_item(found))
            else:
                _resolve_into(result.word_vector.word, found.word)
                result.word_vector.vector.CopyFrom(vector_message(found.vector))
    return response


def similarity(
    version: ModelVersion, request: pb.SimilarityRequest, flag: CancelFlag
) -> pb.SimilarityResponse:
    """The cosines of the pairs."""
    model: WordVectorModel = version.model
    response = pb.SimilarityResponse(model=answered_by(version))
    errors = ItemErrors(model, "pairs", flag)
    lookup = LOOKUPS[request.lookup]
    for pairs in _chunks(request.pairs, _WORDS_AT_ONCE, flag):
        words = [(pair.first, pair.second) for pair in pairs]
        for found in model.similarity(words, lookup=lookup):
            result = response.results.add()
            if isinstance(found, DragomanError):
                errors.at(len(response.results) - 1).fill(result, found)
            else:
                result.similarity.cosine = found.cosine
                _resolve_into(result.similarity.first, found.first)
                _resolve_into(result.similarity.second, found.second)
    return response


def nearest_words(
    version: ModelVersion, request: pb.NearestRequest, flag: CancelFlag, root: str = ""
) -> pb.NearestResponse:
    """The neighbours of the queries; `root` is the request's path where it is part of another."""
    response = pb.NearestResponse(model=answered_by(version))
    errors = ItemErrors(version.model, f"{root}queries", flag)
    for queries in _chunks(request.queries, _SEARCHES_AT_ONCE, flag):
        first = len(response.results)
        own = [errors.at(first + index) for index in range(len(queries))]
        response.results.extend(nearest_results(version, queries, request, own))
    return response


def nearest_results(
    version: ModelVersion,
    queries: Sequence[pb.NearestQuery],
    request: pb.NearestRequest,
    errors: "Sequence[ItemErrors]",
) -> list[pb.NearestResult]:
    """The neighbours of each query, with the options of `request`."""
    model: WordVectorModel = version.model
    found = nearest(model, queries, search_options(request.options, model))
    results = [pb.NearestResult() for _ in found]
    for result, one, own in zip(results, found, errors, strict=True):
        if isinstance(one, DragomanError):
            own.fill(result, one)
        else:
            _fill(result.neighbors, one)
    return results


def analogy_results(
    version: ModelVersion,
    asked: Sequence[pb.AnalogyQuestion],
    request: pb.AnalogyRequest,
    errors: "Sequence[ItemErrors]",
) -> list[pb.AnalogyResult]:
    """The words that complete each question, with the options of `request`."""
    model: WordVectorModel = version.model
    options = search_options(request.options, model)
    questions = [word_queries.AnalogyQuestion(a=one.a, b=one.b, c=one.c) for one in asked]
    found = with_option_paths(model.analogy, questions, options, ANALOGY_METHODS[request.method])
    results = [pb.AnalogyResult() for _ in found]
    for result, one, own in zip(results, found, errors, strict=True):
        if isinstance(one, DragomanError):
            own.fill(result, one)
        else:
            _fill(result.answers, one)
    return results


class NotAtOnceError(Exception):
    """The answer takes longer than the event loop may be held up."""


# The flag of work on the event loop, where nothing slow may be begun.
AT_ONCE = CancelFlag()


class ItemErrors:
    """Writes the errors of the items of one request, the first unknown words with suggestions."""

    def __init__(
        self,
        model: WordVectorModel,
        field: str,
        flag: CancelFlag | None = None,
        *,
        suggested: list[str] | None = None,
        position: int = 0,
    ) -> None:
        """`suggested` are the words of the request that have been looked for, for all its items."""
        self._model = model
        self._field = field
        self._flag = flag
        self._suggested: list[str] = [] if suggested is None else suggested
        self._position = position

    def at(self, position: int) -> "ItemErrors":
        """Those of the item at `position`."""
        return ItemErrors(
            self._model, self._field, self._flag, suggested=self._suggested, position=position
        )

    def fill(
        self,
        result: pb.EmbedResult | pb.SimilarityResult | pb.NearestResult | pb.AnalogyResult,
        error: DragomanError,
    ) -> None:
        """Make `error` the outcome of the item."""
        if isinstance(error, UnknownWordError) and len(self._suggested) < _MOST_SUGGESTED:
            if self._flag is AT_ONCE:
                raise NotAtOnceError
            if self._flag is not None:
                self._flag.check()
            word = error.resource_name
            self._suggested.append(word)
            error = UnknownWordError(word, suggestions=self._model.suggestions(word))
        result.error.CopyFrom(item_status(error, f"{self._field}[{self._position}]"))


def _fill(message: pb.Neighbors, found: word_queries.Neighbors) -> None:
    message.method = _METHODS[found.method.value]
    for word in found.query_words:
        _resolve_into(message.query_words.add(), word)
    add = message.neighbors.add
    for one in found.neighbors:
        add(word=one.word, score=one.score, rank=one.rank)


def _resolve_into(message: pb.ResolvedWord, word: word_lookup.ResolvedWord) -> None:
    message.word = word.matched_word
    message.match = _MATCHES[word.match.value]
    message.rank = word.rank


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
