"""EvaluationService.EvaluateWordVectors: word vectors measured on test sets."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from dragoman.v1 import evaluation_service_pb2 as pb
from dragoman_models.embeddings.evaluation import SimilarityJudgement
from dragoman_models.embeddings.word_test_sets import (
    JudgedPairs,
    SolvedAnalogies,
    WordTestSet,
    WordTestSetOptions,
    WordTestSetScore,
    check_test_sets,
    evaluate_test_sets,
)
from dragoman_models.errors import DragomanError, FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import EMBEDDING_SERVICE
from dragoman_server.services.counts import count_violations
from dragoman_server.services.model_selection import answered_by, selected
from dragoman_server.services.progress import Progress, with_progress
from dragoman_server.services.search_requests import ANALOGY_METHODS, LOOKUPS
from dragoman_server.work_queue import WorkQueue

_FIELD = "test_sets"
_MOST_SETS = 100
_Results = list[WordTestSetScore | DragomanError]


async def evaluate_word_vectors(
    request: pb.EvaluateWordVectorsRequest,
    repository: ModelRepository,
    queue: WorkQueue,
    limits: Limits,
) -> AsyncGenerator[pb.EvaluateWordVectorsResponse, None]:
    """The progress of the evaluation, and the evaluation last."""
    total = sum(_size(one) for one in request.test_sets)
    violations = _violations(request, total, limits)
    if violations:
        raise InvalidInputError(violations)
    version = selected(repository, EMBEDDING_SERVICE, request.model)

    def work(progress: Progress) -> _Results:
        return _evaluated(version, request, progress)

    async with aclosing(with_progress(queue, work)) as events:
        async for event in events:
            response = pb.EvaluateWordVectorsResponse()
            if event.answer is None:
                response.progress.completed_count = event.done
                response.progress.total_count = total
            else:
                response.evaluation.CopyFrom(_evaluation(version, event.answer))
            yield response


def _evaluation(version: ModelVersion, results: _Results) -> pb.WordVectorEvaluation:
    message = pb.WordVectorEvaluation(model=answered_by(version))
    for position, result in enumerate(results):
        _fill(message.results.add(), result, f"{_FIELD}[{position}]")
    return message


def _violations(
    request: pb.EvaluateWordVectorsRequest, total: int, limits: Limits
) -> list[FieldViolation]:
    violations = count_violations(_FIELD, len(request.test_sets), _MOST_SETS)
    if total > limits.test_items:
        text = f"have {total:,} items in all; this server takes at most {limits.test_items:,}"
        violations.append(FieldViolation(field=_FIELD, description=f"{text} a call: divide them"))
    for position, one in enumerate(request.test_sets):
        if one.WhichOneof("items") is None:
            text = "has no items; give judged_pairs or solved_analogies"
            violations.append(FieldViolation(field=f"{_FIELD}[{position}]", description=text))
    return violations


def _evaluated(
    version: ModelVersion, request: pb.EvaluateWordVectorsRequest, progress: Progress
) -> _Results:
    sets = [_test_set(one) for one in request.test_sets]
    try:
        check_test_sets(sets)
    except InvalidInputError as error:
        raise InvalidInputError(
            [
                FieldViolation(field=f"{_FIELD}{one.field}", description=one.description)
                for one in error.violations
            ]
        ) from error
    options = WordTestSetOptions(
        lookup=LOOKUPS[request.lookup],
        method=ANALOGY_METHODS[request.analogy_method],
        max_rank=request.max_rank if request.HasField("max_rank") else None,
    )
    return evaluate_test_sets(version.model, sets, options, progress.add)


def _size(one: pb.WordVectorTestSet) -> int:
    return len(one.judged_pairs.pairs) + len(one.solved_analogies.analogies)


def _test_set(one: pb.WordVectorTestSet) -> WordTestSet:
    if one.WhichOneof("items") == "judged_pairs":
        pairs = (
            SimilarityJudgement(first=pair.first, second=pair.second, score=pair.judgement)
            for pair in one.judged_pairs.pairs
        )
        return JudgedPairs(name=one.name, pairs=tuple(pairs))
    analogies = ((one.a, one.b, one.c, one.d) for one in one.solved_analogies.analogies)
    return SolvedAnalogies(name=one.name, analogies=tuple(analogies))


def _fill(
    message: pb.WordVectorTestSetResult, result: WordTestSetScore | DragomanError, root: str
) -> None:
    if isinstance(result, DragomanError):
        message.error.CopyFrom(item_status(result, root))
        return
    score = message.score
    score.name, score.item_count, score.covered_count = result.name, result.items, result.covered
    if result.spearman is not None:
        score.spearman = result.spearman
    if result.accuracy is not None:
        score.accuracy = result.accuracy
