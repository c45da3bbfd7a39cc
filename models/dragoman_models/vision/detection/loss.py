"""What a detector minimises: complete IoU of boxes, objectness, and classes.

    L = (1 / P) * [ w_box  sum_p (1 - CIoU(b_p, g_p))
                  + w_obj  sum_n BCE(sigmoid(o_n), q_n)
                  + w_cls  sum_p sum_c BCE(sigmoid(c_pc), [class of g_p = c]) ]

p runs over the P predictions that answer for an object g_p (`target_assignment`), n over these,
with q = IoU(b_p, g_p), and over all others, with q = 0; the confidence of YOLO v1 and v2 is such an
IoU. Others that overlap an object by more than `ignore_iou` are left out, as in v3: they are no
background. Classes are independent logistic units, as in v3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from dragoman_models.vision.detection.boxes import iou_and_ciou, pairwise_iou, to_corners
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.decoding import cell_grid, decode_boxes
from dragoman_models.vision.detection.target_assignment import (
    Assigned,
    AssignmentOptions,
    assign_targets,
)


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """Weights of the parts, and what is left out.

    Args:
        ignore_iou: a prediction that answers for no object, and overlaps one by more than this,
            is not taught to be background.
    """

    box_weight: float = 5.0
    objectness_weight: float = 1.0
    class_weight: float = 1.0
    ignore_iou: float = 0.6
    assignment: AssignmentOptions = field(default_factory=AssignmentOptions)


@dataclass(frozen=True, kw_only=True)
class DetectionLoss:
    """The parts, each a scalar with its weight applied; `total` is what is minimised."""

    box: Tensor
    objectness: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.box + self.objectness + self.classes


def detection_loss(
    outputs: Sequence[Tensor],
    boxes: Sequence[Tensor],
    classes: Sequence[Tensor],
    config: DetectorConfig,
    options: LossOptions,
) -> DetectionLoss:
    """The loss of a batch.

    Args:
        outputs: for each stride s, (B, A, H / s, W / s, 5 + classes), from the network.
        boxes: for each image, (N, 4) corners in pixels of the input.
        classes: for each image, (N,).
    """
    height, width = (side * STRIDES[0] for side in outputs[0].shape[2:4])
    assigned = assign_targets(
        boxes, classes, config, height=height, width=width, options=options.assignment
    )
    answering = max(1, sum(len(one.image) for one in assigned))
    parts = [
        _of_stride(logits, one, boxes, anchors, stride, options)
        for logits, one, anchors, stride in zip(
            outputs, assigned, config.anchors, STRIDES, strict=True
        )
    ]
    sums = (torch.stack(part).sum() for part in zip(*parts, strict=True))
    box, objectness, kinds = (part / answering for part in sums)
    return DetectionLoss(
        box=options.box_weight * box,
        objectness=options.objectness_weight * objectness,
        classes=options.class_weight * kinds,
    )


def _of_stride(
    logits: Tensor,
    assigned: Assigned,
    boxes: Sequence[Tensor],
    anchors: Sequence[tuple[float, float]],
    stride: int,
    options: LossOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """The three sums of one stride, without weights."""
    sizes = torch.tensor(anchors)  # (A, 2)
    chosen = (assigned.image, assigned.anchor, assigned.row, assigned.column)
    answering = logits[chosen].float()  # (P, 5 + classes)
    cells = torch.stack([assigned.column, assigned.row], dim=1).float()
    decoded = to_corners(decode_boxes(answering, cells, sizes[assigned.anchor], stride))
    iou, ciou = iou_and_ciou(decoded, assigned.boxes)
    wanted = F.one_hot(assigned.classes, answering.shape[1] - 5).float()  # (P, classes)
    kinds = F.binary_cross_entropy_with_logits(answering[:, 5:], wanted, reduction="sum")
    quality = torch.zeros(logits.shape[:-1])  # (B, A, H, W)
    quality[chosen] = iou.detach().clamp(0, 1)
    counted = ~_overlapping(logits, boxes, sizes, stride, options.ignore_iou)
    counted[chosen] = True
    objectness = F.binary_cross_entropy_with_logits(
        logits[..., 4].float(), quality, weight=counted.float(), reduction="sum"
    )
    return (1 - ciou).sum(), objectness, kinds


@torch.no_grad()
def _overlapping(
    logits: Tensor, boxes: Sequence[Tensor], sizes: Tensor, stride: int, threshold: float
) -> Tensor:
    """Which predictions (B, A, H, W) overlap an object of their image by more than a threshold."""
    _, _, height, width, _ = logits.shape
    decoded = to_corners(
        decode_boxes(logits.float(), cell_grid(height, width), sizes[:, None, None], stride)
    )
    found = torch.zeros(logits.shape[:-1], dtype=torch.bool)
    for index, of_image in enumerate(boxes):
        if len(of_image):
            iou = pairwise_iou(decoded[index].flatten(0, 2), of_image).amax(dim=1)
            found[index] = (iou > threshold).view(found.shape[1:])
    return found
