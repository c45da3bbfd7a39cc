"""What models found in images, drawn: boxes, classes beside a picture, two pictures compared."""

from __future__ import annotations

from pathlib import Path

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.picture_option import mention_missing_letters
from dragoman_client.image_results import Classification, Detections, Verification


def draw_classification(image: Path, found: Classification, out: Path) -> None:
    """The picture with its classes and their probabilities beside it."""
    with needs_extra("plot"), reported_model_errors():
        from dragoman_models.vision import result_drawing, results
        from dragoman_models.vision.image_decoding import read_image

        classes = [
            results.ClassProbability(
                class_id=one.class_id, label=one.label, probability=one.probability
            )
            for one in found.classes
        ]
        result_drawing.draw_classes(read_image(image), classes, out)
    mention_missing_letters([one.label for one in found.classes], out)


def draw_found_objects(image: Path, found: Detections, out: Path) -> None:
    """The picture with a box around each object, its label and score above it."""
    with needs_extra("plot"), reported_model_errors():
        from dragoman_models.vision import result_drawing, results
        from dragoman_models.vision.image_decoding import read_image

        objects = [
            results.DetectedObject(
                box=results.Box(
                    x_min=one.box.x_min, y_min=one.box.y_min,
                    x_max=one.box.x_max, y_max=one.box.y_max,
                ),
                class_id=one.class_id, label=one.label, score=one.score,
            )
            for one in found.detections
        ]  # fmt: skip
        result_drawing.draw_objects(read_image(image), objects, out)
    mention_missing_letters([one.label for one in found.detections], out)


def draw_comparison(first: Path, second: Path, found: Verification, out: Path) -> None:
    """Both pictures, and between which distance and threshold the decision fell."""
    with needs_extra("plot"), reported_model_errors():
        from dragoman_models.vision import result_drawing
        from dragoman_models.vision.image_decoding import read_image

        result_drawing.draw_pair(
            (read_image(first), read_image(second)),
            distance=found.distance, threshold=found.threshold, same=found.same, out=out,
        )  # fmt: skip
