"""EvaluationService: translations scored against references, word vectors against test sets."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from dragoman.v1 import evaluation_service_pb2 as pb
from dragoman.v1 import evaluation_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError, OverloadedError
from dragoman_server.config import Limits
from dragoman_server.errors import NotServedError
from dragoman_server.model_repository import ModelRepository
from dragoman_server.scoring_process import ScoringJob, ScoringProcess
from dragoman_server.services.counts import count_violations
from dragoman_server.services.word_vector_evaluation import evaluate_word_vectors
from dragoman_server.work_queue import WorkQueue

if TYPE_CHECKING:
    from dragoman_server.scoring_process import Scores

EVALUATION_SERVICE = pb.DESCRIPTOR.services_by_name["EvaluationService"].full_name

_TOKENIZERS = {
    pb.BLEU_TOKENIZER_UNSPECIFIED: "13a",
    pb.BLEU_TOKENIZER_13A: "13a",
    pb.BLEU_TOKENIZER_INTL: "intl",
    pb.BLEU_TOKENIZER_CHAR: "char",
    pb.BLEU_TOKENIZER_NONE: "none",
}
_METRICS = {
    pb.TRANSLATION_METRIC_BLEU: "bleu",
    pb.TRANSLATION_METRIC_CHRF: "chrf",
    pb.TRANSLATION_METRIC_TER: "ter",
}


class EvaluationService(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    """Scores translations with sacreBLEU, and the word vectors of the repository."""

    def __init__(
        self,
        process: ScoringProcess,
        queue: WorkQueue,
        limits: Limits,
        *,
        repository: ModelRepository,
        models: WorkQueue,
    ) -> None:
        """`queue` has one thread: the process scores one corpus at a time. In `models`, models
        work."""
        self._process = process
        self._queue = queue
        self._limits = limits
        self._repository = repository
        self._models = models

    async def warm_up(self) -> None:
        """Start the process and score once, so that the first caller need not wait for it."""
        text = ["One two three four."]
        job = ScoringJob(hypotheses=text, references=text)
        with suppress(OverloadedError):  # callers were faster, and have warmed it up
            await self._queue.run(lambda flag: self._process.score(job, flag))

    async def Score(
        self, request: pb.EvaluationServiceScoreRequest, context: object
    ) -> pb.EvaluationServiceScoreResponse:
        violations = count_violations("segments", len(request.segments), self._limits.segments)
        violations = violations or [*_metric_violations(request), *_reference_violations(request)]
        if violations:
            raise InvalidInputError(violations)
        found = await self._queue.run(lambda flag: self._process.score(_job(request), flag))
        return _response(request, found)

    async def EvaluateTranslation(self, request: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{EVALUATION_SERVICE}/EvaluateTranslation")

    async def EvaluateWordVectors(
        self, request: pb.EvaluateWordVectorsRequest, context: object
    ) -> AsyncIterator[pb.EvaluateWordVectorsResponse]:
        events = evaluate_word_vectors(request, self._repository, self._models, self._limits)
        async with aclosing(events):
            async for event in events:
                yield event


def _job(request: pb.EvaluationServiceScoreRequest) -> ScoringJob:
    return ScoringJob(
        hypotheses=[segment.hypothesis for segment in request.segments],
        references=[segment.references[0] for segment in request.segments],
        metrics=[_METRICS[metric] for metric in dict.fromkeys(request.options.metrics or _METRICS)],
        lowercase=request.options.lowercase,
        tokenizer=_TOKENIZERS[request.options.bleu_tokenizer],
    )


def _response(
    request: pb.EvaluationServiceScoreRequest, found: "Scores"
) -> pb.EvaluationServiceScoreResponse:
    response = pb.EvaluationServiceScoreResponse()
    response.scores.segment_count = len(request.segments)
    for metric, score in found.items():
        message: pb.MetricScore = getattr(response.scores, metric.value)
        message.score, message.signature = score.score, score.signature
    return response


def _metric_violations(request: pb.EvaluationServiceScoreRequest) -> Iterator[FieldViolation]:
    for position, metric in enumerate(request.options.metrics):
        if metric == pb.TRANSLATION_METRIC_UNSPECIFIED:
            text = "is no metric; give BLEU, CHRF or TER, or leave metrics empty for all"
            yield FieldViolation(field=f"options.metrics[{position}]", description=text)


def _reference_violations(request: pb.EvaluationServiceScoreRequest) -> Iterator[FieldViolation]:
    for position, segment in enumerate(request.segments):
        root = f"segments[{position}].references"
        if not segment.references:
            yield FieldViolation(field=root, description="is empty; give one reference")
        elif len(segment.references) > 1:
            text = "has more than one reference, which is not served yet; give one"
            yield FieldViolation(field=root, description=text)
        elif not segment.references[0].strip():
            text = "is empty or blank; give the reference translation"
            yield FieldViolation(field=f"{root}[0]", description=text)
