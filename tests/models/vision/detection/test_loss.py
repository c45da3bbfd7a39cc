"""The loss, against its equation written out for every prediction in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dragoman_models.vision.detection.boxes import iou_and_ciou, to_corners
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.decoding import decode_outputs
from dragoman_models.vision.detection.loss import LossOptions, detection_loss
from dragoman_models.vision.detection.target_assignment import (
    AssignmentOptions,
    assign_targets,
)

_BOXES = [torch.tensor([[5.0, 6.0, 25.0, 30.0], [40.0, 10.0, 90.0, 60.0]]), torch.empty(0, 4)]
_CLASSES = [torch.tensor([0, 1]), torch.empty(0, dtype=torch.long)]


def outputs(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, 2, 64 // stride, 96 // stride, 7, generator=generator) for stride in STRIDES
    ]


def bce(logit: float, wanted: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -(wanted * math.log(probability) + (1 - wanted) * math.log(1 - probability))


def by_the_equation(
    given: list[Tensor], config: DetectorConfig, options: LossOptions
) -> list[float]:
    """The parts for box, objectness and classes."""
    decoded = to_corners(decode_outputs(given, config))
    assigned = assign_targets(
        _BOXES, _CLASSES, config, height=64, width=96, options=options.assignment
    )
    parts, count, start = [0.0, 0.0, 0.0], sum(len(one.image) for one in assigned), 0
    for logits, one in zip(given, assigned, strict=True):
        places = list(
            zip(
                *(part.tolist() for part in (one.image, one.anchor, one.row, one.column)),
                strict=True,
            )
        )
        _, anchors, rows, columns, _ = logits.shape
        for image, anchor, row, column in np.ndindex(2, anchors, rows, columns):
            raw = logits[image, anchor, row, column].tolist()
            box = decoded[image, start + (anchor * rows + row) * columns + column]
            if (image, anchor, row, column) in places:
                place = places.index((image, anchor, row, column))
                iou, ciou = iou_and_ciou(box[None], one.boxes[place : place + 1])
                parts[0] += 1 - float(ciou)
                parts[1] += bce(raw[4], float(iou))
                for class_id in range(2):
                    parts[2] += bce(raw[5 + class_id], float(class_id == int(one.classes[place])))
                continue
            overlaps = [float(iou_and_ciou(box[None], other[None])[0]) for other in _BOXES[image]]
            if max(overlaps, default=0.0) <= options.ignore_iou:
                parts[1] += bce(raw[4], 0.0)
        start += anchors * rows * columns
    weights = (options.box_weight, options.objectness_weight, options.class_weight)
    return [weight * part / count for weight, part in zip(weights, parts, strict=True)]


@pytest.mark.parametrize("ignore_iou", [0.2, 0.6])
def test_it_is_the_equation(config: DetectorConfig, ignore_iou: float) -> None:
    options = LossOptions(
        box_weight=3.0, objectness_weight=0.5, class_weight=2.0, ignore_iou=ignore_iou,
        assignment=AssignmentOptions(match_iou=0.4),
    )  # fmt: skip
    given = outputs(1)
    found = detection_loss(given, _BOXES, _CLASSES, config, options)
    expected = by_the_equation(given, config, options)
    for part, value in zip((found.box, found.objectness, found.classes), expected, strict=True):
        assert float(part) == pytest.approx(value, rel=1e-4)
    assert float(found.total) == pytest.approx(sum(expected), rel=1e-4)


def test_descending_it_moves_boxes_objectness_and_classes_to_the_objects(
    config: DetectorConfig,
) -> None:
    given = [one.requires_grad_() for one in outputs(2)]
    optimizer = torch.optim.Adam(given, lr=0.15)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = detection_loss(given, _BOXES, _CLASSES, config, LossOptions())
        loss.total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.total.detach()))
    assert losses[-1] < 0.05 * losses[0]
    logits = torch.cat([one.detach()[..., 4:].flatten(1, 3) for one in given], dim=1).sigmoid()
    corners = to_corners(decode_outputs([one.detach() for one in given], config))
    sure = logits[0, :, 0] > 0.9
    assert sure.any()
    overlap = torch.stack(
        [iou_and_ciou(corners[0, sure], box.expand(int(sure.sum()), 4))[0] for box in _BOXES[0]]
    )  # (2, sure)
    assert (overlap.amax(dim=0) > 0.9).all()
    assert torch.equal(logits[0, sure, 1:].argmax(dim=1), overlap.argmax(dim=0))
    assert (logits[1, :, 0] < 0.1).all()  # the image without objects


def test_a_batch_without_objects_teaches_only_that_there_are_none(config: DetectorConfig) -> None:
    given = [one.requires_grad_() for one in outputs(3)]
    loss = detection_loss(given, _BOXES[1:] * 2, _CLASSES[1:] * 2, config, LossOptions())
    assert loss.box.item() == loss.classes.item() == 0
    gradients = torch.autograd.grad(loss.total, given)
    for gradient in gradients:
        assert (gradient[..., 4] > 0).all()
        assert not gradient[..., 5:].any()
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_logits_give_a_finite_loss_and_gradient(
    config: DetectorConfig, value: float
) -> None:
    given = [torch.full_like(one, value).requires_grad_() for one in outputs(4)]
    loss = detection_loss(given, _BOXES, _CLASSES, config, LossOptions())
    assert math.isfinite(loss.total.item())
    assert all(torch.isfinite(one).all() for one in torch.autograd.grad(loss.total, given))
