"""What training reads: prepared images, their changes, and batches of P classes and K images."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.vision.verification.conftest import ALPHABETS, CHARACTERS, DRAWERS

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.augmentation import Augmentation, augment
from dragoman_models.vision.verification.class_batches import BatchShape, ClassBatches
from dragoman_models.vision.verification.image_preparation import prepare
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.omniglot import read_omniglot

NOTHING = Augmentation(rotation=0, shear=0, scale=0, shift=0, bend=0)


def numbered(counts: list[int], groups: tuple[str, ...]) -> LabelledImages:
    """Images of which the first pixel is the class and the second the image's own number."""
    classes = np.repeat(np.arange(len(counts)), counts)
    pixels = np.zeros((len(classes), 1, 4, 4), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 1, 1] = classes + 1, np.arange(len(classes)) + 1
    return LabelledImages(
        pixels=pixels, classes=classes, makers=np.zeros(len(classes), np.int64),
        class_names=tuple(map(str, range(len(counts)))), class_groups=groups,
    )  # fmt: skip


def test_a_batch_has_p_classes_of_k_different_images_turned_alike() -> None:
    data = numbered([5, 4, 1, 6, 3], ("a", "a", "a", "b", "b"))
    shape = BatchShape(classes=6, images=3, quarter_turns=True, group_share=0.0)
    batches, chance = ClassBatches(data, shape), np.random.default_rng(1)
    assert batches.class_count == 16  # four turns of the four classes that have a pair
    corners = {(0, 0): 0, (3, 0): 1, (3, 3): 2, (0, 3): 3}
    for _ in range(30):
        batch = batches.draw(chance)
        pixels = (batch.images[:, 0] * 255).round().int()  # (18, 4, 4)
        assert Counter(batch.classes.tolist()) == dict.fromkeys(range(6), 3)
        variants = set()
        for start in range(0, 18, 3):
            own = pixels[start : start + 3]
            ((y, x),) = {(y, x) for y, x in corners if all(int(image[y, x]) != 0 for image in own)}
            (number,) = {int(image[y, x]) - 1 for image in own}
            assert number != 2
            variants.add((number, corners[y, x]))
            upright = torch.rot90(own, -corners[y, x], (1, 2))
            assert len({int(image[1, 1]) for image in upright}) == 3
        assert len(variants) == 6


def test_batches_of_one_group_hold_only_its_classes() -> None:
    data = numbered([3] * 6, ("a", "a", "a", "a", "b", "b"))
    shape = BatchShape(classes=3, images=2, quarter_turns=False, group_share=1.0)
    batches, chance = ClassBatches(data, shape), np.random.default_rng(1)
    seen = set()
    for _ in range(30):
        numbers = {int(n) - 1 for n in (batches.draw(chance).images[:, 0, 0, 0] * 255).round()}
        assert numbers <= {0, 1, 2, 3} or numbers <= {4, 5}
        seen |= numbers
    assert seen == set(range(6))


def test_augmentation_of_nothing_changes_nothing_and_chance_repeats() -> None:
    chance = torch.Generator().manual_seed(1)
    images = torch.rand(3, 2, 12, 12, generator=chance)
    torch.testing.assert_close(augment(images, NOTHING, chance), images, atol=1e-5, rtol=0)
    how = Augmentation(flip=True, brightness=0.2, contrast=0.3)
    first, second = (augment(images, how, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, images, atol=0.05)


def test_images_of_a_class_may_be_changed_alike_into_another_class() -> None:
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    repeated = images.repeat_interleave(3, dim=0)
    how = Augmentation(flip=True, brightness=0.1, contrast=0.1)
    alike = augment(repeated, how, torch.Generator().manual_seed(2), alike=3).reshape(
        4, 3, 1, 12, 12
    )
    assert torch.equal(alike[:, 0], alike[:, 1])
    assert torch.equal(alike[:, 0], alike[:, 2])
    single = augment(images, how, torch.Generator().manual_seed(2))
    torch.testing.assert_close(alike[:, 0], single, atol=1e-6, rtol=0)
    assert not torch.equal(augment(repeated, how, torch.Generator().manual_seed(2))[:3], alike[0])


def test_paper_stays_paper_wherever_a_drawing_is_moved() -> None:
    images = torch.full((50, 1, 16, 16), 0.9)
    images[:, :, 6:10, 6:10] = 0.1
    moved = augment(images, Augmentation(shift=1.0, scale=0.5), torch.Generator().manual_seed(2))
    assert moved.max() <= 0.9 + 1e-5
    assert moved.min() >= 0.1 - 1e-5
    assert (moved.flatten(1).amax(dim=1) > 0.89).all()


def test_a_right_angle_turns_an_image_as_rot90_does() -> None:
    images = torch.rand(40, 1, 10, 10, generator=torch.Generator().manual_seed(1))
    how = NOTHING.model_copy(update={"rotation": 90.0})
    turned = augment_by_greatest_angle(images, how)
    torch.testing.assert_close(turned, torch.rot90(images, 1, (2, 3)), atol=1e-4, rtol=0)


def augment_by_greatest_angle(images: torch.Tensor, how: Augmentation) -> torch.Tensor:
    """As where chance draws nothing but its greatest value."""

    def greatest(*shape: int, generator: torch.Generator) -> torch.Tensor:
        return torch.ones(shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", greatest)
        return augment(images, how, torch.Generator())


def test_preparing_keeps_the_shape_of_what_is_drawn() -> None:
    image = np.full((60, 120, 3), 200, np.uint8)
    image[20:40, 40:80] = (255, 0, 0)
    assert prepare(image, size=60, color="grey").shape == (1, 60, 60)
    rgb = prepare(image, size=60, color="rgb").astype(int)
    assert rgb.shape == (3, 60, 60)
    ys, xs = np.nonzero(rgb[1] < 100)
    assert (int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1) == (20, 10)  # half of both sides
    assert (xs.mean(), ys.mean()) == (29.5, 29.5)
    assert (rgb[:, 0] == 200).all()  # what fills is of the border's colour
    assert (rgb[:, -1] == 200).all()


def test_a_framed_drawing_is_the_same_wherever_it_stood() -> None:
    small, moved = np.full((2, 60, 80, 3), 230, np.uint8)
    small[10:30, 12:22], moved[35:55, 61:71] = 20, 20
    framed, other = (prepare(i, size=24, color="grey", framing="ink") for i in (small, moved))
    np.testing.assert_array_equal(framed, other)
    ys, xs = np.nonzero(framed[0] < 100)
    assert (int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1) == (10, 20)
    blank = np.full((9, 9, 3), 77, np.uint8)
    assert (prepare(blank, size=12, color="grey", framing="ink") == 77).all()


def test_omniglot_is_read_and_an_alphabet_in_two_archives_once(archive: Path) -> None:
    data = read_omniglot((archive, archive), size=16, color="grey")
    assert data.pixels.shape == (len(ALPHABETS) * CHARACTERS * DRAWERS, 1, 16, 16)
    assert data.groups == tuple(sorted(ALPHABETS))
    assert set(Counter(data.classes.tolist()).values()) == {DRAWERS}
    assert data.class_names[0] == "Alfa/character00"
    assert set(data.makers.tolist()) == set(range(DRAWERS))
    part = data.only_groups(("Bravo", "Echo"))
    assert part.groups == ("Bravo", "Echo")
    assert part.class_count == 2 * CHARACTERS
    assert [len(own) for own in part.members()] == [DRAWERS] * part.class_count


def test_bad_archives_are_named(tmp_path: Path, archive: Path) -> None:
    cases = {"none.zip": "cannot read", "cut.zip": "cannot read", "other.zip": "holds no drawing"}
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:-30])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as files:
        files.writestr("letters/a.txt", "a")
    with zipfile.ZipFile(tmp_path / "damaged.zip", "w") as files:
        files.writestr("Greek/character01/0394_01.png", b"\x89PNG\r\n\x1a\n no more")
    for name, message in {**cases, "damaged.zip": "Greek/character01/0394_01.png: "}.items():
        with pytest.raises(TrainingError, match=f"{name}.*{message}|{message}.*{name}"):
            read_omniglot((tmp_path / name,), size=16, color="grey")
