"""Invented characters and their drawings: what must be alike is, what must differ does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dragoman_models.vision.verification.image_preparation import prepare
from dragoman_models.vision.verification.invented_characters import (
    POINTS,
    Character,
    invent_characters,
)
from dragoman_models.vision.verification.reframing import reframed
from dragoman_models.vision.verification.unsteady_hand import Hand, draw_characters

STEADY = Hand(
    turn=0, slant=0, proportion=0, place=0, size=0, stroke_turn=0, waver=0,
    thinnest=0.05, thickest=0.05,
)  # fmt: skip


def invented(count: int, seed: int) -> list[Character]:
    return invent_characters(count, family=1, chance=np.random.default_rng(seed))


def drawn(characters: list[Character], hand: Hand, each: int = 1, seed: int = 1) -> torch.Tensor:
    chance = np.random.default_rng(seed)
    return draw_characters(characters, each=each, size=32, hand=hand, chance=chance)


@pytest.mark.parametrize("seed", range(20))
def test_a_family_differs_in_one_stroke_at_a_time(seed: int) -> None:
    characters = invent_characters(7, family=4, chance=np.random.default_rng(seed))
    assert len(characters) == 7
    for number, character in enumerate(characters):
        assert all(stroke.shape == (POINTS, 2) for stroke in character)
        assert all(np.isfinite(stroke).all() for stroke in character)
        assert 1 <= len(character) <= 6
        family = characters[number - number % 4 : number]
        if family:
            assert min(_unlike(character, other) for other in family) == 1


def test_no_two_characters_look_the_same() -> None:
    characters = invent_characters(24, family=3, chance=np.random.default_rng(2))
    images = drawn(characters, STEADY).flatten(1)
    distances = torch.cdist(1 - images, 1 - images) + torch.eye(24) * 100
    assert distances.min() > 2  # pixels of ink, a root of squares


def _unlike(one: Character, other: Character) -> int:
    """How many strokes stand in only one of both, of the one that has more of them."""

    def missing(these: Character, those: Character) -> int:
        return sum(not any(np.array_equal(a, b) for b in those) for a in these)

    return max(missing(one, other), missing(other, one))


def test_characters_repeat_by_their_seed_only() -> None:
    first, again, other = (np.concatenate(invented(3, seed)[0]) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


def test_a_steady_hand_draws_a_square_where_it_is() -> None:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], float)
    places = np.linspace(0, 4, POINTS)
    square = np.stack([np.interp(places, range(5), corners[:, axis]) for axis in (0, 1)], axis=1)
    image = 1 - drawn([[square]], STEADY)[0, 0]
    rows, columns = image.amax(dim=1) > 0.5, image.amax(dim=0) > 0.5
    assert rows.nonzero().ravel().tolist() == list(range(3, 29))  # the margin is 3 of 32
    assert columns.nonzero().ravel().tolist() == list(range(3, 29))
    assert (image[3:29, 3:29].amax(dim=1) > 0.8).all()  # lines without gaps
    assert image[8:24, 8:24].max() == 0  # nothing inside
    torch.testing.assert_close(image, image.T, atol=0.3, rtol=0)


def test_drawings_of_a_character_differ_but_less_than_those_of_others() -> None:
    images = drawn(invented(30, 4), Hand(thinnest=0.05, thickest=0.05), each=2)
    assert images.shape == (60, 1, 32, 32)
    assert images.min() >= 0
    assert images.max() == 1
    blurred = torch.nn.functional.avg_pool2d(images, 5, 1).flatten(1)
    between = torch.cdist(blurred[::2], blurred[1::2])
    own = between.diagonal()
    assert (own > 0).all()
    assert own.mean() < 0.7 * between.mean()


def _as_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(pixels[..., None], 3, axis=2)


def test_framing_anew_is_the_framing_of_preparation() -> None:
    pixels = np.full((2, 96, 96), 230, np.uint8)
    pixels[0, 20:60, 30:36], pixels[0, 52:60, 30:80] = 10, 10
    pixels[1, 70:90, 5:11] = 10
    found = reframed(torch.from_numpy(pixels[:, None]).float() / 255, 24)
    for number in range(2):
        expected = prepare(_as_picture(pixels[number]), size=24, color="grey", framing="ink")
        difference = (found[number].numpy() - expected / 255).__abs__()
        assert difference.max() < 0.3
        assert difference.mean() < 0.02


def test_paper_without_ink_stays_whole() -> None:
    empty = torch.full((1, 1, 32, 32), 0.8)
    torch.testing.assert_close(reframed(empty, 16), torch.full((1, 1, 16, 16), 0.8))
