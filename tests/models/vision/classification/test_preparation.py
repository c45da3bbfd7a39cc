"""Preparation: what fits is left as it is, the rest keeps its shape; no image is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.classification.preparation import ImagePreparation

GREY = ImagePreparation(
    height=28, width=28, channels=1, fitting="pad", mean=(0.25,), deviation=(0.5,),
    negate_light=True,
)  # fmt: skip
COLOUR = ImagePreparation(
    height=8, width=8, fitting="crop", mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0)
)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_what_fits_is_only_standardized() -> None:
    grey = np.repeat(noise(28, 28)[:, :, :1], 3, axis=2)
    grey[[0, -1], [0, -1]] = 0
    expected = (grey[None, None, :, :, 0].astype(np.float64) / 255 - 0.25) / 0.5
    np.testing.assert_allclose(GREY.prepared([grey]), expected, atol=1e-6)
    fits = COLOUR.prepared([noise(8, 8)])
    np.testing.assert_allclose(fits[0] * 255, noise(8, 8).transpose(2, 0, 1), atol=1e-3)


def test_a_light_background_is_negated() -> None:
    dark = np.zeros((28, 28, 3), np.uint8)
    dark[5:20, 8:20] = 180
    np.testing.assert_array_equal(GREY.prepared([255 - dark]), GREY.prepared([dark]))
    greyish = np.where(dark > 0, 59, 200).astype(np.uint8)  # 180 / 255 below the paper's tone
    np.testing.assert_allclose(GREY.prepared([greyish]), GREY.prepared([dark]), atol=0.02)
    kept = GREY.model_copy(update={"negate_light": False})
    assert (kept.prepared([255 - dark]) != kept.prepared([dark])).any()


@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_padding_shows_all_of_the_image_in_its_shape(height: int, width: int) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    options = GREY.model_copy(update={"negate_light": False, "mean": (0.0,), "deviation": (1.0,)})
    seen = options.prepared([white])[0, 0] > 0.5
    rows, columns = int(seen.any(1).sum()), int(seen.any(0).sum())
    assert max(rows, columns) == 28
    assert abs(rows - max(1, 28 * height / max(height, width))) <= 0.5
    assert abs(columns - max(1, 28 * width / max(height, width))) <= 0.5
    top, left = int(seen.any(1).argmax()), int(seen.any(0).argmax())
    assert abs(2 * top + rows - 28) <= 1
    assert abs(2 * left + columns - 28) <= 1


def test_cropping_takes_the_middle() -> None:
    image = np.zeros((16, 40, 3), np.uint8)
    image[:, 12:28] = 255  # the middle square; a smooth filter looks a little beyond its edge
    assert (COLOUR.prepared([image]) > 0.8).all()
    half = COLOUR.model_copy(update={"crop_share": 0.5})
    tall = np.zeros((64, 32, 3), np.uint8)
    tall[24:40, 8:24] = 255
    assert (half.prepared([tall]) > 0.8).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(InvalidInputError, match=r"images\[1\]: must be \(height, width, 3\)"):
        COLOUR.prepared([noise(3, 3), image])


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.1,)},
        {"deviation": (1.0, 0.0, 1.0)},
        {"mean": (float("nan"),) * 3},
        {"height": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImagePreparation.model_validate({**COLOUR.model_dump(), **change})
