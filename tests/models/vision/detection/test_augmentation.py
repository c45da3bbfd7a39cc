"""Random views: boxes must stay on what they were drawn around."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dragoman_models.vision.detection.augmentation import AugmentationOptions, random_view

_OPTIONS = AugmentationOptions(brightness=0, contrast=0, saturation=0, tint=0)


def scene() -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64]]:
    """A red, a green and a blue rectangle on black."""
    pixels = np.zeros((90, 120, 3), dtype=np.uint8)
    boxes = np.array([[10, 12, 40, 30], [60, 5, 80, 60], [85, 65, 118, 85]])
    for colour, (left, top, right, bottom) in enumerate(boxes):
        pixels[top:bottom, left:right, colour] = 255
    return pixels, boxes.astype(np.float64), np.arange(3)


@pytest.mark.parametrize("seed", range(8))
def test_a_box_surrounds_the_pixels_of_its_object(seed: int) -> None:
    pixels, boxes, classes = scene()
    view = random_view(pixels, boxes, classes, size=96, options=_OPTIONS, seed=seed)
    assert view.pixels.shape == (3, 96, 96)
    for box, colour in zip(view.boxes, view.classes, strict=True):
        others = [channel for channel in range(3) if channel != int(colour)]
        lit = (view.pixels[int(colour)] > 0.6) & (view.pixels[others].amax(dim=0) < 0.3)
        rows, columns = lit.nonzero(as_tuple=True)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # Interpolation blurs an edge over a pixel or two.
        np.testing.assert_allclose(box.numpy(), [float(edge) for edge in seen], atol=2.0)


def test_views_differ_and_the_same_seed_gives_the_same() -> None:
    pixels, boxes, classes = scene()
    options = AugmentationOptions()
    views = [
        random_view(pixels, boxes, classes, size=64, options=options, seed=seed)
        for seed in (1, 2, 1)
    ]
    assert torch.equal(views[0].pixels, views[2].pixels)
    assert torch.equal(views[0].boxes, views[2].boxes)
    assert not torch.equal(views[0].pixels, views[1].pixels)


def test_they_draw_nothing_from_the_generator_of_others() -> None:
    pixels, boxes, classes = scene()
    before = torch.get_rng_state()
    random_view(pixels, boxes, classes, size=64, options=_OPTIONS, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_boxes_that_are_hardly_seen_are_left_out() -> None:
    pixels = np.zeros((200, 200, 3), dtype=np.uint8)
    boxes = np.array([[0.0, 0.0, 60.0, 200.0], [90.0, 90.0, 110.0, 110.0]])
    options = _OPTIONS.model_copy(update={"smallest_zoom": 1.0, "largest_zoom": 1.3})
    seen = []
    for seed in range(15):
        view = random_view(
            pixels, boxes, np.arange(2), size=100,
            options=options, seed=seed,
        )  # fmt: skip
        assert (view.boxes >= 0).all()
        assert (view.boxes <= 100).all()
        sizes = view.boxes[:, 2:] - view.boxes[:, :2]
        assert (sizes > 0).all()
        seen.append(len(view.boxes))
        assert len(view.boxes) == len(view.classes)
    assert min(seen) < 2


def test_an_image_without_objects_has_views_too() -> None:
    pixels, _, _ = scene()
    view = random_view(
        pixels, np.empty((0, 4)), np.empty(0, dtype=np.int64), size=64, options=_OPTIONS, seed=1
    )
    assert view.pixels.shape == (3, 64, 64)
    assert view.boxes.shape == (0, 4)


def test_without_any_change_a_view_is_the_image() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    still = AugmentationOptions(
        smallest_zoom=1, largest_zoom=1, flip_horizontally=False, flip_vertically=False,
        quarter_turns=False, brightness=0, contrast=0, saturation=0, tint=0,
    )  # fmt: skip
    boxes = np.array([[10.0, 20.0, 40.0, 50.0]])
    view = random_view(pixels, boxes, np.array([1]), size=96, options=still, seed=7)
    np.testing.assert_allclose(
        view.pixels.permute(1, 2, 0).numpy() * 255, pixels.astype(np.float32), atol=0.5
    )
    np.testing.assert_allclose(view.boxes.numpy(), boxes, atol=1e-3)
