"""Answers about images that follow from their bytes, for tests of clients and of the command."""

from __future__ import annotations

from typing import Any

from google.rpc import error_details_pb2, status_pb2

from dragoman.v1 import model_pb2
from dragoman.v1 import vision_service_pb2 as pb

MODEL = model_pb2.ModelVersion(name="eyes", version=3)
THRESHOLD = 0.5
LABELS = ("cat", "dog", "fish")


def answer_about_images(server: Any) -> Any:
    """Has a FakeServer look: an image that begins with b"bad" is none, its first byte is its class,
    and its length is its vector."""
    for name, answer in (
        ("Classify", _classify), ("Detect", _detect), ("EmbedImage", _embed), ("Verify", _verify)
    ):  # fmt: skip
        server.answers[name] = lambda request, context, answer=answer: answer(request)
    return server


def _classify(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    response = pb.ClassifyResponse(model=MODEL)
    for index, image in enumerate(request.images):
        result = response.results.add()
        if _fill_error(result, [(f"images[{index}].content", image.content)]):
            continue
        first = image.content[0] % 3
        for rank in range(min(request.top_k or 5, 3)):
            number = (first + rank) % 3
            result.classification.classes.add(
                class_id=number, label=LABELS[number], probability=(0.5, 0.25, 0.25)[rank]
            )
    return response


def _detect(request: pb.DetectRequest) -> pb.DetectResponse:
    response = pb.DetectResponse(model=MODEL)
    for index, image in enumerate(request.images):
        result = response.results.add()
        if _fill_error(result, [(f"images[{index}].content", image.content)]):
            continue
        result.detections.image_width, result.detections.image_height = 40, 30
        if image.content[0] % 3:
            box = pb.BoundingBox(x_min=1, y_min=2.5, x_max=11, y_max=22.5)
            result.detections.detections.add(box=box, class_id=1, label="dog", score=0.75)
    return response


def _embed(request: pb.EmbedImageRequest) -> pb.EmbedImageResponse:
    response = pb.EmbedImageResponse(model=MODEL, dimensions=3)
    for index, image in enumerate(request.images):
        result = response.results.add()
        if not _fill_error(result, [(f"images[{index}].content", image.content)]):
            values = [0.0, 0.0, 0.0]
            values[image.content[0] % 3] = 1.0
            result.vector.values.extend(values)
    return response


def _verify(request: pb.VerifyRequest) -> pb.VerifyResponse:
    response = pb.VerifyResponse(model=MODEL)
    threshold = request.threshold if request.HasField("threshold") else THRESHOLD
    for index, pair in enumerate(request.pairs):
        result = response.results.add()
        contents = [
            (f"pairs[{index}].{name}.content", getattr(pair, name).content)
            for name in ("first", "second")
        ]
        if not _fill_error(result, contents):
            distance = abs(len(pair.first.content) - len(pair.second.content)) / 4
            result.verification.distance = distance
            result.verification.threshold = threshold
            result.verification.same = distance <= threshold
    return response


def _fill_error(result: Any, contents: list[tuple[str, bytes]]) -> bool:
    """Whether any of the contents is bad; the result is their error then."""
    bad = [path for path, content in contents if not content or content.startswith(b"bad")]
    if bad:
        wrong = error_details_pb2.BadRequest()
        for path in bad:
            wrong.field_violations.add(field=path, description="does not decode")
        message = "; ".join(f"{path}: does not decode" for path in bad)
        status = status_pb2.Status(code=3, message=message)
        status.details.add().Pack(wrong)
        result.error.CopyFrom(status)
    return bool(bad)
