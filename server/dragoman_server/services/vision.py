"""VisionService: images classified, searched for objects, embedded and compared."""

# ruff: noqa: N802 - the names of the calls are those of the API.

import math
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from dragoman.v1 import vision_service_pb2 as pb
from dragoman.v1 import vision_service_pb2_grpc
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.engine import Lane, Work
from dragoman_server.config import Limits
from dragoman_server.model_protocols import ServedClassifier, ServedDetector, ServedEmbedder
from dragoman_server.model_repository import ModelRepository
from dragoman_server.served_families import CLASSIFY, DETECT, EMBED_IMAGE
from dragoman_server.services.counts import count_violations
from dragoman_server.services.image_batches import (
    ImageEngine,
    image_lane,
    image_works,
    pair_works,
)
from dragoman_server.services.image_results import (
    classify_result,
    detect_result,
    embed_image_result,
    verify_result,
)
from dragoman_server.services.model_selection import answered_by, selected

if TYPE_CHECKING:
    from dragoman_models.vision.results import DetectionOptions

_DEFAULT_TOP_K = 5
_MOST_CLASSES = 1_000
_MOST_DETECTIONS = 1_000


class VisionService(vision_service_pb2_grpc.VisionServiceServicer):
    """Answers with the models of images of the repository."""

    def __init__(self, repository: ModelRepository, batcher: Batcher, limits: Limits) -> None:
        """`batcher` is that of images, which no other service's work waits in."""
        self._repository = repository
        self._batcher = batcher
        self._limits = limits

    async def Classify(self, request: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        _require(
            count_violations("images", len(request.images), self._limits.images),
            _range_violations(request, "top_k", 1, _MOST_CLASSES),
        )
        version = selected(self._repository, CLASSIFY, request.model)
        model: ServedClassifier = version.model
        top_k = request.top_k if request.HasField("top_k") else _DEFAULT_TOP_K
        engine = ImageEngine(
            lambda contents, cancelled: model.classify(contents, top_k=top_k, cancelled=cancelled),
            classify_result,
        )
        lane = image_lane("Classify", version, request, "images", engine)
        results = await self._run(lane, image_works(request.images))
        return pb.ClassifyResponse(model=answered_by(version), results=results)

    async def Detect(self, request: pb.DetectRequest, context: object) -> pb.DetectResponse:
        _require(
            count_violations("images", len(request.images), self._limits.images),
            _range_violations(request, "score_threshold", 0.0, 1.0),
            _range_violations(request, "iou_threshold", 0.0, 1.0, above=True),
            _range_violations(request, "max_detections", 1, _MOST_DETECTIONS),
        )
        version = selected(self._repository, DETECT, request.model)
        model: ServedDetector = version.model
        options = _detection_options(request)
        engine = ImageEngine(
            lambda contents, cancelled: model.detect(contents, options, cancelled=cancelled),
            detect_result,
        )
        lane = image_lane("Detect", version, request, "images", engine)
        results = await self._run(lane, image_works(request.images))
        return pb.DetectResponse(model=answered_by(version), results=results)

    async def EmbedImage(
        self, request: pb.EmbedImageRequest, context: object
    ) -> pb.EmbedImageResponse:
        _require(count_violations("images", len(request.images), self._limits.images))
        version = selected(self._repository, EMBED_IMAGE, request.model)
        model: ServedEmbedder = version.model
        engine = ImageEngine(
            lambda contents, cancelled: model.embed(contents, cancelled=cancelled),
            embed_image_result,
        )
        lane = image_lane("EmbedImage", version, request, "images", engine)
        results = await self._run(lane, image_works(request.images))
        return pb.EmbedImageResponse(
            model=answered_by(version), dimensions=model.facts().dimensions or 0, results=results
        )

    async def Verify(self, request: pb.VerifyRequest, context: object) -> pb.VerifyResponse:
        _require(
            count_violations("pairs", len(request.pairs), self._limits.image_pairs),
            _range_violations(request, "threshold", 0.0, math.inf),
        )
        version = selected(self._repository, EMBED_IMAGE, request.model)
        model: ServedEmbedder = version.model
        threshold = request.threshold if request.HasField("threshold") else None
        engine = ImageEngine(
            lambda pairs, cancelled: model.verify(pairs, threshold=threshold, cancelled=cancelled),
            verify_result,
        )
        lane = image_lane("Verify", version, request, "pairs", engine)
        results = await self._run(lane, pair_works(request.pairs))
        return pb.VerifyResponse(model=answered_by(version), results=results)

    async def _run(self, lane: Lane, works: list[Work]) -> list[Any]:
        async with self._batcher.call(lane) as call:
            return await call.run(works)


def _require(*violations: list[FieldViolation]) -> None:
    found = [violation for some in violations for violation in some]
    if found:
        raise InvalidInputError(found)


def _range_violations(
    request: Message, field: str, least: float, most: float, *, above: bool = False
) -> list[FieldViolation]:
    """What is wrong with a number that is set; `above`: it may not be the least itself."""
    if not request.HasField(field):
        return []
    value: int | float = getattr(request, field)
    enough = least < value if above else least <= value  # NaN is not
    if enough and value <= most and math.isfinite(value):
        return []
    shown = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    if math.isinf(most):
        text = f"is {shown}; give {least:g} or more"
    else:
        text = f"is {shown}; give {'more than ' if above else ''}{least:,} to {most:,}"
    return [FieldViolation(field=field, description=text)]


def _detection_options(request: pb.DetectRequest) -> "DetectionOptions":
    """The options as the detector takes them; what is not set is the model's own or the default."""
    from dragoman_models.vision.results import DetectionOptions

    given = {
        name: getattr(request, name)
        for name in ("score_threshold", "iou_threshold", "max_detections")
        if request.HasField(name)
    }
    return DetectionOptions(**given)
