"""Boxes from logits, one by one in float64; and letterboxes, there and back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.decoding import LARGEST_LOG_SCALE, decode_outputs
from dragoman_models.vision.detection.letterbox import (
    GREY,
    letterbox_of,
    on_canvas,
    standardised,
)


def test_every_prediction_is_decoded_by_its_own_cell_and_anchor(config: DetectorConfig) -> None:
    torch.manual_seed(2)
    outputs = [torch.randn(1, 2, 64 // stride, 96 // stride, 7) * 3 for stride in STRIDES]
    found = decode_outputs(outputs, config)[0].tolist()
    expected = []
    for logits, anchors, stride in zip(outputs, config.anchors, STRIDES, strict=True):
        for anchor, (width, height) in enumerate(anchors):
            for row in range(64 // stride):
                for column in range(96 // stride):
                    x, y, w, h = (float(one) for one in logits[0, anchor, row, column, :4])
                    scales = [
                        math.exp(max(-LARGEST_LOG_SCALE, min(LARGEST_LOG_SCALE, one)))
                        for one in (w, h)
                    ]
                    expected.append(
                        (
                            (2 / (1 + math.exp(-x)) - 0.5 + column) * stride,
                            (2 / (1 + math.exp(-y)) - 0.5 + row) * stride,
                            width * scales[0],
                            height * scales[1],
                        )
                    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@given(height=st.integers(1, 300), width=st.integers(1, 300), size=st.sampled_from([32, 96, 160]))
@settings(max_examples=30, deadline=None)
def test_a_letterbox_keeps_shape_and_gives_boxes_back(height: int, width: int, size: int) -> None:
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    place = letterbox_of(image, size)
    assert max(place.scaled_width, place.scaled_height) == size
    assert place.canvas_width % 32 == place.canvas_height % 32 == 0
    assert 0 <= place.canvas_width - place.scaled_width < 32
    assert abs(place.scaled_width / width - place.scaled_height / height) * min(width, height) <= 1
    whole = np.array([[0, 0, place.scaled_width, place.scaled_height]], dtype=np.float32)
    np.testing.assert_allclose(place.to_image(whole), [[0, 0, width, height]], rtol=1e-5)
    outside = np.array([[-50, -50, 9999, 9999]], dtype=np.float32)
    assert place.to_image(outside).tolist() == [[0, 0, width, height]]


def test_what_lies_beside_the_image_is_grey_which_is_nothing_to_the_network() -> None:
    image = np.full((20, 64, 3), 255, dtype=np.uint8)
    canvas = on_canvas(image, letterbox_of(image, 64))
    assert canvas.shape == (32, 64, 3)
    assert (canvas[:20] == 255).all()
    assert (canvas[20:] == GREY).all()
    values = standardised(canvas[None])
    assert values.shape == (1, 3, 32, 64)
    assert not values[:, :, 20:].any()
    assert values[:, :, :20] == pytest.approx(1.0)
