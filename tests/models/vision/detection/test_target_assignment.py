"""Which predictions answer for which object, against the rule written out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.vision.detection.boxes import shape_iou
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.target_assignment import (
    AssignmentOptions,
    assign_targets,
)

Claims = dict[tuple[int, int, int, int, int], int]  # stride, image, anchor, row, column: object


def objects(seed: int, images: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = np.random.default_rng(seed)
    boxes, classes = [], []
    for _ in range(images):
        count = int(generator.integers(0, 6))
        low = generator.uniform(0, (80, 50), (count, 2))
        high = low + generator.uniform(3, 60, (count, 2))
        corners = np.hstack([low, np.minimum(high, (96, 64))])
        boxes.append(torch.from_numpy(corners).float())
        classes.append(torch.from_numpy(generator.integers(0, 2, count)))
    return boxes, classes


def by_the_rule(
    boxes: list[torch.Tensor], config: DetectorConfig, options: AssignmentOptions
) -> Claims:
    """The best claim on each prediction."""
    anchors = [
        (level, number, torch.tensor(pair))
        for level, of_stride in enumerate(config.anchors)
        for number, pair in enumerate(of_stride)
    ]
    claims: dict[tuple[int, int, int, int, int], tuple[float, int]] = {}
    number = -1
    for image, of_image in enumerate(boxes):
        for box in of_image:
            number += 1
            size = (box[2:] - box[:2])[None]
            alike = [float(shape_iou(size, pair[None])) for _, _, pair in anchors]
            for (level, anchor, _), likeness in zip(anchors, alike, strict=True):
                if likeness < options.match_iou and likeness < max(alike):
                    continue
                stride = STRIDES[level]
                x, y = (float(box[i] + box[i + 2]) / 2 / stride for i in (0, 1))
                column = min(math.floor(x), 96 // stride - 1)
                row = min(math.floor(y), 64 // stride - 1)
                cells = [(row, column)]
                if options.neighbours:
                    cells.append((row, column + (-1 if x - column < 0.5 else 1)))
                    cells.append((row + (-1 if y - row < 0.5 else 1), column))
                for at, across in cells:
                    if 0 <= at < 64 // stride and 0 <= across < 96 // stride:
                        key = (level, image, anchor, at, across)
                        if likeness > claims.get(key, (-1.0, 0))[0]:
                            claims[key] = (likeness, number)
    return {key: claim[1] for key, claim in claims.items()}


@given(
    seed=st.integers(0, 10_000),
    match_iou=st.sampled_from([0.3, 0.6, 2.0]),
    neighbours=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_it_is_the_rule(
    config: DetectorConfig, seed: int, match_iou: float, neighbours: bool
) -> None:
    boxes, classes = objects(seed, 3)
    options = AssignmentOptions(match_iou=match_iou, neighbours=neighbours)
    found = assign_targets(boxes, classes, config, height=64, width=96, options=options)
    expected = by_the_rule(boxes, config, options)
    every, labels = torch.cat(boxes), torch.cat(classes)
    seen = set()
    for level, one in enumerate(found):
        for place in range(len(one.image)):
            parts = (one.image, one.anchor, one.row, one.column)
            image, anchor, row, column = (int(part[place]) for part in parts)
            key = (level, image, anchor, row, column)
            assert torch.equal(one.boxes[place], every[expected[key]])
            assert one.classes[place] == labels[expected[key]]
            seen.add(key)
    assert seen == set(expected)
    assert sum(len(one.image) for one in found) == len(seen)  # nothing is claimed twice


def test_every_object_alone_has_its_best_anchor_in_its_own_cell(config: DetectorConfig) -> None:
    only = AssignmentOptions(match_iou=2.0, neighbours=False)
    for anchors, stride, level in zip(config.anchors, STRIDES, range(3), strict=True):
        for number, (width, height) in enumerate(anchors):
            box = torch.tensor(
                [[33.0 - width / 2, 34.0 - height / 2, 33 + width / 2, 34 + height / 2]]
            )
            found = assign_targets(
                [box], [torch.tensor([1])], config, height=64, width=96, options=only
            )
            assert [len(one.image) for one in found] == [int(i == level) for i in range(3)]
            one = found[level]
            assert (int(one.anchor), int(one.row), int(one.column)) == (
                number, 34 // stride, 33 // stride,
            )  # fmt: skip


def test_images_without_objects_have_no_targets(config: DetectorConfig) -> None:
    nothing = [torch.empty(0, 4), torch.empty(0, 4)]
    found = assign_targets(
        nothing, [torch.empty(0, dtype=torch.long)] * 2, config,
        height=64, width=96, options=AssignmentOptions(),
    )  # fmt: skip
    assert all(len(one.image) == 0 and one.boxes.shape == (0, 4) for one in found)


def test_the_default_lets_more_predictions_answer_than_yolo_v3(config: DetectorConfig) -> None:
    boxes, classes = objects(7, 4)
    counts = [
        sum(
            len(one.image)
            for one in assign_targets(boxes, classes, config, height=64, width=96, options=options)
        )
        for options in (AssignmentOptions(match_iou=2.0, neighbours=False), AssignmentOptions())
    ]
    assert counts[0] <= sum(map(len, boxes))
    assert counts[1] >= 2 * counts[0]
    assert counts[0] == pytest.approx(sum(map(len, boxes)), abs=2)
