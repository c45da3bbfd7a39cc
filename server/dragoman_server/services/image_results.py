"""What models answer about images, as the results of the API."""

from typing import TYPE_CHECKING

from dragoman.v1 import vision_service_pb2 as pb
from dragoman_models.errors import DragomanError
from dragoman_server.error_status import item_status
from dragoman_server.services.vector_message import vector_message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dragoman_models.vision.results import ClassProbability
    from dragoman_server.encoded_images import ImageComparison, ImageObjects


def classify_result(
    answer: "list[ClassProbability] | DragomanError", root: str
) -> pb.ClassifyResult:
    """The classes of the image at `root`, or its error."""
    result = pb.ClassifyResult()
    if isinstance(answer, DragomanError):
        result.error.CopyFrom(item_status(answer, root))
        return result
    result.classification.SetInParent()
    for one in answer:
        result.classification.classes.add(
            class_id=one.class_id, label=one.label, probability=one.probability
        )
    return result


def detect_result(answer: "ImageObjects | DragomanError", root: str) -> pb.DetectResult:
    """The objects of the image at `root`, or its error."""
    result = pb.DetectResult()
    if isinstance(answer, DragomanError):
        result.error.CopyFrom(item_status(answer, root))
        return result
    result.detections.image_width = answer.width
    result.detections.image_height = answer.height
    for found in answer.objects:
        box = pb.BoundingBox(
            x_min=found.box.x_min, y_min=found.box.y_min,
            x_max=found.box.x_max, y_max=found.box.y_max,
        )  # fmt: skip
        result.detections.detections.add(
            box=box, class_id=found.class_id, label=found.label, score=found.score
        )
    return result


def embed_image_result(
    answer: "NDArray[np.float32] | DragomanError", root: str
) -> pb.EmbedImageResult:
    """The vector of the image at `root`, or its error."""
    if isinstance(answer, DragomanError):
        return pb.EmbedImageResult(error=item_status(answer, root))
    return pb.EmbedImageResult(vector=vector_message(answer))


def verify_result(answer: "ImageComparison | DragomanError", root: str) -> pb.VerifyResult:
    """The decision on the pair at `root`, or its error."""
    if isinstance(answer, DragomanError):
        return pb.VerifyResult(error=item_status(answer, root))
    return pb.VerifyResult(
        verification=pb.Verification(
            distance=answer.distance, threshold=answer.threshold, same=answer.same
        )
    )
