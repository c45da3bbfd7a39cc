"""Augmentation: each image is a shifted, mirrored copy of itself, with at most a rectangle gone."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.vision.classification.augmentation import AugmentationOptions, augmented

FILL = torch.tensor([7, 8, 9], dtype=torch.uint8)


def images(count: int, height: int, width: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(height * width)
    return torch.randint(10, 256, (count, height, width, 3), generator=chance, dtype=torch.uint8)


def changed(given: torch.Tensor, options: AugmentationOptions, seed: int) -> torch.Tensor:
    return augmented(given, options, FILL, torch.Generator().manual_seed(seed))


def test_without_options_nothing_changes() -> None:
    given = images(5, 6, 7)
    options = AugmentationOptions(shift=0, mirror=False, erase_share=0)
    torch.testing.assert_close(changed(given, options, 1), given)


@given(
    height=st.integers(2, 7), width=st.integers(2, 7), shift=st.integers(0, 3),
    mirror=st.booleans(), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_every_image_is_a_shifted_copy(
    height: int, width: int, shift: int, mirror: bool, seed: int
) -> None:
    given = images(3, height, width)
    options = AugmentationOptions(shift=shift, mirror=mirror, erase_share=0)
    margins = ((shift, shift), (shift, shift), (0, 0))
    for before, after in zip(given.numpy(), changed(given, options, seed).numpy(), strict=True):
        padded = np.pad(before, margins)
        found = [
            bool((copy == after).all())
            for top in range(2 * shift + 1)
            for left in range(2 * shift + 1)
            for cut in [padded[top : top + height, left : left + width]]
            for copy in ([cut, cut[:, ::-1]] if mirror else [cut])
        ]
        assert any(found)


@given(
    height=st.integers(2, 12), width=st.integers(2, 12), share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_what_is_erased_is_one_rectangle(height: int, width: int, share: float, seed: int) -> None:
    given = images(4, height, width)
    options = AugmentationOptions(shift=0, mirror=False, erase_share=share)
    for before, after in zip(given, changed(given, options, seed), strict=True):
        gone = (before != after).any(dim=2)
        if not gone.any():
            continue
        rows, columns = gone.nonzero(as_tuple=True)
        rectangle = (slice(int(rows.min()), int(rows.max()) + 1),
                     slice(int(columns.min()), int(columns.max()) + 1))  # fmt: skip
        assert gone[rectangle].all()
        assert (after[rectangle] == FILL).all()
        assert gone.sum() < 0.6 * height * width or min(height, width) < 5


def test_shares_of_mirrored_and_erased_images() -> None:
    given = images(2000, 8, 8)
    mirrored = changed(given, AugmentationOptions(shift=0, erase_share=0), 5)
    assert 900 < int((mirrored == given).flatten(1).all(1).sum()) < 1100
    erased = changed(given, AugmentationOptions(shift=0, mirror=False, erase_share=0.3), 5)
    assert 520 < int((erased != given).flatten(1).any(1).sum()) < 680
