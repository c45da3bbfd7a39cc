"""The calls about images as values: what each sends for some images, and how it reads the answer.

Both clients run the same values. Many images are sent some at a time (see ``image_jobs``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

from dragoman.v1.vision_service_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    DetectRequest,
    DetectResponse,
    EmbedImageRequest,
    EmbedImageResponse,
    Image,
    ImagePair,
    VerifyRequest,
    VerifyResponse,
)
from dragoman.v1.vision_service_pb2 import Detection as DetectionMessage
from dragoman_client.calls import Call
from dragoman_client.errors import ServerError
from dragoman_client.image_results import (
    BoundingBox,
    Classification,
    ClassProbability,
    Detection,
    Detections,
    ImageVector,
    Verification,
)
from dragoman_client.options import DetectionOptions
from dragoman_client.requests.fields import Model, model_selector, set_number
from dragoman_client.responses import ItemResult, item_error, model_version_of

Response = TypeVar("Response", bound=Message)
Answer = TypeVar("Answer")

ImageInput: TypeAlias = bytes | str | os.PathLike[str]
"""An image: the content of a JPEG, PNG or WebP file as bytes, or the path of one."""

Contents: TypeAlias = tuple[bytes, ...]
"""The content of one image, or those of the two of a pair."""

_SERVICE = "/dragoman.v1.VisionService"


@dataclass(frozen=True, kw_only=True)
class ImageCall(Generic[Response, Answer]):
    """One call: ``request`` makes the message for the contents of some items, ``read`` reads their
    results; ``field`` is what the request calls the items, ``names`` what an item calls its images
    (empty for an item that is an image itself)."""

    method: str
    field: str
    names: tuple[str, ...]
    request: Callable[[Sequence[Contents]], Message]
    response_type: type[Response]
    read: Callable[[Response], list[ItemResult[Answer]]]

    def of(self, items: Sequence[Contents]) -> Call[Response, list[ItemResult[Answer]]]:
        """The call for these items."""

        def read(response: Response) -> list[ItemResult[Answer]]:
            results = self.read(response)
            if len(results) != len(items):
                raise ServerError(f"the server answered {len(results)} items of {len(items)}")
            return results

        return Call(
            method=self.method,
            request=self.request(items),
            response_type=self.response_type,
            read=read,
        )


def classify(*, model: Model, top_k: int | None) -> ImageCall[ClassifyResponse, Classification]:
    def request(items: Sequence[Contents]) -> ClassifyRequest:
        message = ClassifyRequest(model=model_selector(model), images=_images(items))
        set_number(message, "top_k", top_k, "top_k")
        return message

    return ImageCall(
        method=f"{_SERVICE}/Classify",
        field="images",
        names=("",),
        request=request,
        response_type=ClassifyResponse,
        read=_classifications,
    )


def detect(
    *, model: Model, options: DetectionOptions | None
) -> ImageCall[DetectResponse, Detections]:
    def request(items: Sequence[Contents]) -> DetectRequest:
        message = DetectRequest(model=model_selector(model), images=_images(items))
        for name in ("score_threshold", "iou_threshold", "max_detections"):
            set_number(message, name, None if options is None else getattr(options, name), name)
        return message

    return ImageCall(
        method=f"{_SERVICE}/Detect",
        field="images",
        names=("",),
        request=request,
        response_type=DetectResponse,
        read=_detections,
    )


def embed_images(*, model: Model) -> ImageCall[EmbedImageResponse, ImageVector]:
    return ImageCall(
        method=f"{_SERVICE}/EmbedImage",
        field="images",
        names=("",),
        request=lambda items: EmbedImageRequest(model=model_selector(model), images=_images(items)),
        response_type=EmbedImageResponse,
        read=_vectors,
    )


def verify(*, model: Model, threshold: float | None) -> ImageCall[VerifyResponse, Verification]:
    def request(items: Sequence[Contents]) -> VerifyRequest:
        pairs = [
            ImagePair(first=Image(content=first), second=Image(content=second))
            for first, second in items
        ]
        message = VerifyRequest(model=model_selector(model), pairs=pairs)
        set_number(message, "threshold", threshold, "threshold")
        return message

    return ImageCall(
        method=f"{_SERVICE}/Verify",
        field="pairs",
        names=("first.", "second."),
        request=request,
        response_type=VerifyResponse,
        read=_verifications,
    )


def _images(items: Sequence[Contents]) -> list[Image]:
    return [Image(content=content) for (content,) in items]


def _classifications(response: ClassifyResponse) -> list[ItemResult[Classification]]:
    model = model_version_of(response.model)
    return [
        Classification(
            classes=tuple(
                ClassProbability(
                    class_id=one.class_id, label=one.label, probability=one.probability
                )
                for one in result.classification.classes
            ),
            model=model,
        )
        if result.classification.classes
        else item_error(result)
        for result in response.results
    ]


def _detections(response: DetectResponse) -> list[ItemResult[Detections]]:
    model = model_version_of(response.model)
    return [
        Detections(
            detections=tuple(_detection(one) for one in result.detections.detections),
            image_width=result.detections.image_width,
            image_height=result.detections.image_height,
            model=model,
        )
        if result.HasField("detections")
        else item_error(result)
        for result in response.results
    ]


def _detection(message: DetectionMessage) -> Detection:
    box = message.box
    return Detection(
        box=BoundingBox(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
        class_id=message.class_id,
        label=message.label,
        score=message.score,
    )


def _vectors(response: EmbedImageResponse) -> list[ItemResult[ImageVector]]:
    model = model_version_of(response.model)
    return [
        ImageVector(values=tuple(result.vector.values), model=model)
        if result.HasField("vector")
        else item_error(result)
        for result in response.results
    ]


def _verifications(response: VerifyResponse) -> list[ItemResult[Verification]]:
    model = model_version_of(response.model)
    return [
        Verification(
            distance=result.verification.distance,
            threshold=result.verification.threshold,
            same=result.verification.same,
            model=model,
        )
        if result.HasField("verification")
        else item_error(result)
        for result in response.results
    ]
