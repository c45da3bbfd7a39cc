"""From logits to boxes: the parametrisation of YOLO v2 and v3.

For cell (i, j) of a stride s and an anchor of size (p_w, p_h), in pixels of the network's input:

    x = (2 sigmoid(t_x) - 1/2 + j) s        w = p_w exp(t_w)
    y = (2 sigmoid(t_y) - 1/2 + i) s        h = p_h exp(t_h)

This is Redmon and Farhadi (2017), section 2, with the sigmoid stretched as in Bochkovskiy et al.
(2020), so that a centre on a cell's edge can be reached, and from the neighbouring cell as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dragoman_models.vision.detection.config import STRIDES, DetectorConfig

# exp(t) may change an anchor's side by a factor of 20 either way; without a bound one bad step of
# training makes infinite boxes.
LARGEST_LOG_SCALE = 3.0


def cell_grid(height: int, width: int) -> Tensor:
    """The (H, W, 2) columns and rows of a grid's cells."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([columns, rows], dim=-1).float()


def decode_boxes(logits: Tensor, cells: Tensor, anchors: Tensor, stride: int | Tensor) -> Tensor:
    """Boxes as centre and size, in input pixels: logits (..., 4), cells and anchors (..., 2)."""
    centre = (2 * logits[..., :2].sigmoid() - 0.5 + cells) * stride
    size = anchors * logits[..., 2:4].clamp(-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE).exp()
    return torch.cat([centre, size], dim=-1)


def decode_outputs(outputs: Sequence[Tensor], config: DetectorConfig) -> Tensor:
    """All predictions of all strides: (B, N, 4) boxes as centre and size, in input pixels."""
    boxes = []
    for logits, anchors, stride in zip(outputs, config.anchors, STRIDES, strict=True):
        _, _, height, width, _ = logits.shape
        sizes = torch.tensor(anchors)[:, None, None]  # (A, 1, 1, 2)
        boxes.append(decode_boxes(logits, cell_grid(height, width), sizes, stride).flatten(1, 3))
    return torch.cat(boxes, dim=1)
