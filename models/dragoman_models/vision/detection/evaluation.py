"""Runs a network over labelled images, for training's own figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dragoman_models.metrics.average_precision import ImageObjects
from dragoman_models.vision.detection.boxes import to_corners
from dragoman_models.vision.detection.decoding import decode_outputs
from dragoman_models.vision.detection.labelled_images import LabelledImage
from dragoman_models.vision.detection.letterbox import letterbox_of, on_canvas, standardised
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.predictions import Detections, select
from dragoman_models.vision.results import RgbImage

# Average precision wants the whole curve, so nearly all boxes; 100 an image is COCO's rule.
CURVE_THRESHOLD = 0.005
NMS_IOU = 0.45
MOST_DETECTIONS = 100


def network_detections(
    network: DetectorNetwork,
    image: RgbImage,
    *,
    score_threshold: float = CURVE_THRESHOLD,
    iou_threshold: float = NMS_IOU,
    most: int = MOST_DETECTIONS,
) -> Detections:
    """What a network finds in one image (H, W, 3), in the image's pixels."""
    place = letterbox_of(image, network.config.input_size)
    canvas = torch.from_numpy(standardised(on_canvas(image, place)[None]))
    with torch.inference_mode():
        outputs = network(canvas.contiguous(memory_format=torch.channels_last))
        boxes = to_corners(decode_outputs(outputs, network.config))[0].numpy()
        probabilities = torch.cat([one[..., 4:].flatten(1, 3) for one in outputs], dim=1)[0]
        scores = probabilities.float().sigmoid().numpy()
    return select(
        place.to_image(boxes), scores, score_threshold=score_threshold,
        iou_threshold=iou_threshold, most=most,
    )  # fmt: skip


def as_objects(images: Sequence[LabelledImage]) -> list[ImageObjects]:
    """What there is to find."""
    return [ImageObjects(boxes=one.boxes, classes=one.classes) for one in images]


def as_found(detections: Detections) -> ImageObjects:
    """What was found in one image."""
    return ImageObjects(
        boxes=detections.boxes.astype(np.float64),
        classes=detections.classes,
        scores=detections.scores.astype(np.float64),
    )
