"""EvaluationService: translations scored against references."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dragoman.v1 import evaluation_service_pb2 as pb
from dragoman.v1 import evaluation_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.errors import NotServedError
from dragoman_server.services.counts import count_violations
from dragoman_server.work_queue import CancelFlag, WorkQueue

if TYPE_CHECKING:
    from dragoman_models.metrics.translation_quality import MetricScore

EVALUATION_SERVICE = pb.DESCRIPTOR.services_by_name["EvaluationService"].full_name

_TOKENIZERS = {
    pb.BLEU_TOKENIZER_UNSPECIFIED: "13a",
    pb.BLEU_TOKENIZER_13A: "13a",
    pb.BLEU_TOKENIZER_INTL: "intl",
    pb.BLEU_TOKENIZER_CHAR: "char",
    pb.BLEU_TOKENIZER_NONE: "none",
}
_ALL_METRICS = (
    pb.TRANSLATION_METRIC_BLEU,
    pb.TRANSLATION_METRIC_CHRF,
    pb.TRANSLATION_METRIC_TER,
)


class EvaluationService(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    """Scores with sacreBLEU."""

    def __init__(self, queue: WorkQueue, limits: Limits) -> None:
        self._queue = queue
        self._limits = limits

    async def Score(
        self, request: pb.EvaluationServiceScoreRequest, context: object
    ) -> pb.EvaluationServiceScoreResponse:
        violations = count_violations("segments", len(request.segments), self._limits.segments)
        violations = violations or [*_metric_violations(request), *_reference_violations(request)]
        if violations:
            raise InvalidInputError(violations)
        return await self._queue.run(lambda flag: _score(request, flag))

    async def EvaluateTranslation(self, request: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{EVALUATION_SERVICE}/EvaluateTranslation")

    async def EvaluateWordVectors(self, request: object, context: object) -> Any:  # type: ignore[override]
        raise NotServedError(f"{EVALUATION_SERVICE}/EvaluateWordVectors")


def warm_up_scoring() -> None:
    """Import sacreBLEU and score once, so that the first caller need not wait for it."""
    from dragoman_models.metrics.translation_quality import score_corpus

    score_corpus(["One two three four."], ["One two three four."])


def _score(
    request: pb.EvaluationServiceScoreRequest, flag: CancelFlag
) -> pb.EvaluationServiceScoreResponse:
    from dragoman_models.metrics.translation_quality import score_corpus

    flag.check()
    found = score_corpus(
        [segment.hypothesis for segment in request.segments],
        [segment.references[0] for segment in request.segments],
        lowercase=request.options.lowercase,
        tokenizer=_TOKENIZERS[request.options.bleu_tokenizer],
    )
    response = pb.EvaluationServiceScoreResponse()
    response.scores.segment_count = len(request.segments)
    asked = request.options.metrics or _ALL_METRICS
    fill: dict[int, Callable[[], None]] = {
        pb.TRANSLATION_METRIC_BLEU: lambda: _fill(response.scores.bleu, found.bleu),
        pb.TRANSLATION_METRIC_CHRF: lambda: _fill(response.scores.chrf, found.chrf),
        pb.TRANSLATION_METRIC_TER: lambda: _fill(response.scores.ter, found.ter),
    }
    for metric in asked:
        fill[metric]()
    return response


def _fill(message: pb.MetricScore, found: "MetricScore") -> None:
    message.score = found.score
    message.signature = found.signature


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
