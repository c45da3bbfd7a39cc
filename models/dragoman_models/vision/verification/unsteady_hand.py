"""Draws invented characters as several people would: never twice the same.

Each drawing has its own global turn, slant and proportions; each stroke in it its own place, size
and turn; each line its own smooth waver. Then the strokes become pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from dragoman_models.vision.verification.image_preparation import INK_MARGIN
from dragoman_models.vision.verification.invented_characters import POINTS, Character


class Hand(BaseModel):
    """How far drawings of one character differ; sizes are shares of a character's size, and all but
    the pen's widths are standard deviations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: float = Field(default=6.0, ge=0, le=180, description="of the whole, degrees")
    slant: float = Field(default=0.15, ge=0, le=1, description="of x by y")
    proportion: float = Field(default=0.15, ge=0, le=1, description="of width to height, a log")
    place: float = Field(default=0.04, ge=0, le=1, description="of a stroke")
    size: float = Field(default=0.12, ge=0, le=1, description="of a stroke, each axis, a log")
    stroke_turn: float = Field(default=6.0, ge=0, le=180, description="of a stroke, degrees")
    waver: float = Field(default=0.03, ge=0, le=1, description="of a line, at five points")
    thinnest: float = Field(default=0.03, gt=0, le=0.5, description="the pen's width")
    thickest: float = Field(default=0.06, gt=0, le=0.5, description="the pen's width")


_WAVES = 5
_BETWEEN = (0.0, 0.33, 0.67, 1.0)
_FINE = 2  # pixels drawn for one that is kept, each way


def draw_characters(
    characters: Sequence[Character],
    *,
    each: int,
    size: int,
    hand: Hand,
    chance: np.random.Generator,
) -> Tensor:
    """`each` drawings of every character that follow each other, framed as `prepare` frames ink.

    Returns:
        (len(characters) * each, 1, size, size), from 0 (ink) to 1 (paper).
    """
    points, drawn = _repeated(characters, each)  # (N, strokes, POINTS, 2), (N, strokes)
    points = _strokes_unsteady(points, hand, chance)
    points = _whole_unsteady(points, hand, chance)
    widths = chance.uniform(hand.thinnest, hand.thickest, len(points)) * size * _FINE
    pens = np.rint(widths).astype(np.int64).clip(2)
    return _rendered(_framed(points, drawn, size, pens), drawn, size, pens)


def _repeated(
    characters: Sequence[Character], each: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    strokes = max(map(len, characters))
    points = np.zeros((len(characters), strokes, POINTS, 2))
    drawn = np.zeros((len(characters), strokes), bool)
    for number, character in enumerate(characters):
        points[number, : len(character)] = np.stack(character) / _extent(character)
        drawn[number, : len(character)] = True
    return points.repeat(each, axis=0), drawn.repeat(each, axis=0)


def _extent(character: Character) -> float:
    return max(float(np.ptp(np.concatenate(character), axis=0).max()), 1e-6)


def _strokes_unsteady(
    points: NDArray[np.float64], hand: Hand, chance: np.random.Generator
) -> NDArray[np.float64]:
    count, strokes = points.shape[:2]
    middle = points.mean(axis=2, keepdims=True)
    turn = np.radians(chance.normal(0, hand.stroke_turn, (count, strokes)))
    scale = np.exp(chance.normal(0, hand.size, (count, strokes, 1, 2)))
    waves = chance.normal(0, hand.waver, (count, strokes, _WAVES, 2))
    waver = np.einsum("pw,nswd->nspd", _blend(), waves)
    place = chance.normal(0, hand.place, (count, strokes, 1, 2))
    turned = np.einsum("nspd,nsde->nspe", (points - middle) * scale, _rotation(turn))
    moved: NDArray[np.float64] = turned + middle + waver + place
    return moved


def _whole_unsteady(
    points: NDArray[np.float64], hand: Hand, chance: np.random.Generator
) -> NDArray[np.float64]:
    count = len(points)
    matrix = _rotation(np.radians(chance.normal(0, hand.turn, count)))
    slant = np.tile(np.eye(2), (count, 1, 1))
    slant[:, 1, 0] = chance.normal(0, hand.slant, count)
    wide = np.exp(chance.normal(0, hand.proportion, count) / 2)
    scale = np.stack([wide, 1 / wide], axis=1)[:, None]
    moved: NDArray[np.float64] = np.einsum("nspd,nde->nspe", points, matrix @ slant * scale)
    return moved


def _rotation(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 2, 2), to be multiplied from the right."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], -2)


def _blend() -> NDArray[np.float64]:
    """(POINTS, _WAVES): how much each wave counts at each point of a stroke; rows sum to 1."""
    places = np.linspace(0, _WAVES - 1, POINTS)[:, None]
    weights = np.exp(-np.square(places - np.arange(_WAVES)) / 0.72)
    blend: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return blend


def _framed(
    points: NDArray[np.float64], drawn: NDArray[np.bool_], size: int, pens: NDArray[np.int64]
) -> NDArray[np.float64]:
    """In pixels: the longer side of what these pens draw fills the image but for the margin."""
    hidden = ~drawn[:, :, None, None]
    least = np.where(hidden, np.inf, points).min(axis=(1, 2), keepdims=True)
    most = np.where(hidden, -np.inf, points).max(axis=(1, 2), keepdims=True)
    side = np.maximum((most - least).max(axis=3, keepdims=True), 1e-6)
    within = size - 2 * round(size * INK_MARGIN) - pens[:, None, None, None] / _FINE
    framed: NDArray[np.float64] = (points - (least + most) / 2) * within / side + (size - 1) / 2
    return framed


def _rendered(
    points: NDArray[np.float64],
    drawn: NDArray[np.bool_],
    size: int,
    pens: NDArray[np.int64],
) -> Tensor:
    """Dots with soft edges along each stroke, drawn finer and then reduced."""
    count, fine = len(points), size * _FINE
    points = np.concatenate(  # also between the points, so that no line has gaps
        [points[:, :, :-1] * (1 - share) + points[:, :, 1:] * share for share in _BETWEEN], axis=2
    )
    pixels = np.rint((points + 0.5) * _FINE - 0.5).astype(np.int64).clip(0, fine - 1)
    index = (np.arange(count)[:, None, None] * fine + pixels[..., 1]) * fine + pixels[..., 0]
    dots = torch.zeros(count * fine * fine)
    dots[torch.from_numpy(index[drawn].ravel())] = 1
    image = dots.view(count, 1, fine, fine)
    ink = torch.empty_like(image)
    for width in np.unique(pens):
        own = torch.from_numpy(np.flatnonzero(pens == width))
        ink[own] = _dilated(image[own], int(width))
    return 1 - F.avg_pool2d(ink, _FINE)


def _dilated(image: Tensor, width: int) -> Tensor:
    """Dots become squares of this width whose corners are cut."""
    before, after = (width - 1) // 2, width // 2
    square = F.max_pool2d(F.pad(image, (before, after, before, after)), width, stride=1)
    return F.avg_pool2d(square, 3, stride=1, padding=1)
