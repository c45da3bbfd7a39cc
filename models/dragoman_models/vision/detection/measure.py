"""Measures a finished training run as it is shipped: folded, with 16-bit weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from dragoman_models.metrics.average_precision import (
    ImageObjects,
    PrecisionRecall,
    precision_recall,
)
from dragoman_models.run_export import read_curve, reading_run
from dragoman_models.vision.detection.coco_evaluation import CocoFigures, coco_figures
from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.detector import SingleShotDetector
from dragoman_models.vision.detection.evaluation import (
    CURVE_THRESHOLD,
    MOST_DETECTIONS,
    NMS_IOU,
    as_found,
    as_objects,
)
from dragoman_models.vision.detection.folding import fold, make_folded
from dragoman_models.vision.detection.labelled_images import LabelledImage
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.onnx_network import OnnxNetwork
from dragoman_models.vision.detection.threshold import at_threshold
from dragoman_models.vision.detection.voc_dataset import VocDataset
from dragoman_models.vision.results import DetectionOptions
from dragoman_models.weight_encoding import WeightEncoding, decode_weights, encode_weights

_IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A finished run: the weights as they are stored, and its learning curve."""

    name: str
    config: DetectorConfig
    stored: dict[str, Tensor]
    curve: list[dict[str, str]]

    def detector(self, score_threshold: float) -> SingleShotDetector:
        """What a server would load."""
        network = DetectorNetwork(self.config)
        make_folded(network)
        network.load_state_dict(decode_weights(self.stored))
        return SingleShotDetector(
            OnnxNetwork(network), self.config, score_threshold=score_threshold
        )


@dataclass(frozen=True, kw_only=True)
class DetectorFigures:
    """What a detector finds in a set of images.

    curves: precision and recall at IoU 0.5, by label.
    """

    images: int
    objects: int
    coco: CocoFigures
    curves: dict[str, PrecisionRecall]

    def as_metrics(self, threshold: float) -> dict[str, Any]:
        """For metrics.json."""
        overall = at_threshold(list(self.curves.values()), threshold)
        return {
            "images": self.images,
            "objects": self.objects,
            "map50": round(self.coco.map50, 4),
            "map50_95": round(self.coco.map50_95, 4),
            "at_score_threshold": {
                "precision": round(overall.precision, 4),
                "recall": round(overall.recall, 4),
                "f1": round(overall.f1, 4),
            },
            "classes": {
                label: {
                    "objects": curve.objects,
                    "ap50": round(self.coco.ap50[index], 4),
                    "ap50_95": round(self.coco.ap50_95[index], 4),
                    "precision": round(at_threshold([curve], threshold).precision, 4),
                    "recall": round(at_threshold([curve], threshold).recall, 4),
                }
                for index, (label, curve) in enumerate(self.curves.items())
            },
        }


def read_run(folder: Path) -> TrainedRun:
    """The run that a training left in `folder`; raises `TrainingError` if it is not finished."""
    with reading_run(folder, "a detector"):
        config = DetectorConfig.model_validate_json((folder / "network.json").read_bytes())
        network = DetectorNetwork(config)
        network.load_state_dict(load_file(folder / "weights.safetensors"))
        curve = read_curve(folder / "log.csv")
    fold(network)
    stored = encode_weights(network.state_dict(), WeightEncoding.FLOAT16)
    return TrainedRun(name=folder.name, config=config, stored=stored, curve=curve)


def measure(
    detector: SingleShotDetector, dataset: VocDataset, images: Sequence[LabelledImage]
) -> DetectorFigures:
    """By the call that the server makes, over all scores that can be told from nothing."""
    options = DetectionOptions(
        score_threshold=CURVE_THRESHOLD, iou_threshold=NMS_IOU, max_detections=MOST_DETECTIONS
    )
    found: list[ImageObjects] = []
    for image in images:
        found += map(as_found, detector.detections([dataset.pixels(image)], options))
    objects = as_objects(images)
    return DetectorFigures(
        images=len(images),
        objects=sum(len(one.boxes) for one in images),
        coco=coco_figures(objects, found, classes=len(detector.labels)),
        curves={
            label: precision_recall(objects, found, class_id=index, iou_threshold=_IOU)
            for index, label in enumerate(detector.labels)
        },
    )
