"""Invents characters: strokes put together at random, and look-alikes that differ in one stroke.

A few alphabets hold a few hundred characters, which a network learns by heart. Invented ones never
repeat. They are made of what letters are made of: lines, corners, arcs, loops, rows of bows, hooks
and free curves, most of which begin on another stroke. A family is one character and others like it
but for one stroke, for what tells the letters of one alphabet apart is often that little. As in
Lake, Salakhutdinov and Tenenbaum (2015), a character is its strokes and how they are joined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

POINTS = 40  # of a stroke, at even distances along it

Stroke: TypeAlias = NDArray[np.float64]  # (POINTS, 2): x to the right, y down
Character: TypeAlias = list[Stroke]
Outline: TypeAlias = NDArray[np.float64]

_MOST_STROKES = 6
_EVERY = 3  # points of a stroke, when characters are compared
_LEAST_DIFFERENCE = 0.16  # of a character's size; a hand's unsteadiness is less
_ATTACHED = 0.75  # share of the strokes that begin on another


def invent_characters(count: int, *, family: int, chance: np.random.Generator) -> list[Character]:
    """Characters in families, which follow each other: of `family` characters, the first is new and
    each other differs from one before it in a stroke. No two look the same.
    """
    invented: list[Character] = []
    outlines: list[Outline] = []
    while len(invented) < count:
        place = len(invented) % family
        own = invented[len(invented) - place :]
        character = _look_alike(own[chance.integers(place)], chance) if own else _character(chance)
        outline = _outline(character)
        if all(_far_apart(outline, other) for other in outlines):
            invented.append(character)
            outlines.append(outline)
    return invented


def _outline(character: Character) -> Outline:
    """(n, 2): some of its points, around the middle of their rectangle and 1 in size."""
    points = np.concatenate([stroke[::_EVERY] for stroke in character])
    least, most = points.min(axis=0), points.max(axis=0)
    outline: Outline = (points - (least + most) / 2) / max(float((most - least).max()), 1e-6)
    return outline


def _far_apart(one: Outline, other: Outline) -> bool:
    """Whether a point of one is far from all of the other (the Hausdorff distance)."""
    squared = np.square(one[:, None] - other[None]).sum(axis=2)
    farthest = max(squared.min(axis=0).max(), squared.min(axis=1).max())
    return bool(farthest > _LEAST_DIFFERENCE**2)


def _character(chance: np.random.Generator) -> Character:
    character: Character = []
    for _ in range(chance.choice([1, 2, 3, 4, 5], p=[0.2, 0.3, 0.27, 0.15, 0.08])):
        character.append(_joined(character, chance))
    return character


def _joined(character: Character, chance: np.random.Generator) -> Stroke:
    """A stroke whose place is that of the other strokes, most often on one of them."""
    stroke = _SHAPES[chance.choice(len(_SHAPES), p=_SHARES)](chance) * chance.uniform(0.3, 1.0)
    if not character:
        return stroke
    end = stroke[(0, -1, POINTS // 2)[chance.choice(3, p=[0.6, 0.2, 0.2])]]
    if chance.random() < _ATTACHED:
        other = character[chance.integers(len(character))]
        place = other[chance.integers(POINTS)] - end
    else:
        others = np.concatenate(character)
        place = chance.uniform(others.min(axis=0), others.max(axis=0)) - stroke.mean(axis=0)
    joined: Stroke = stroke + place
    return joined


def _look_alike(character: Character, chance: np.random.Generator) -> Character:
    """One stroke more, fewer, moved, turned around, or another in its place."""
    strokes = list(character)
    which = int(chance.integers(len(strokes)))
    changes = ["add", "replace", "move", "mirror"]
    if len(strokes) > 1:
        changes.append("drop")
    if len(strokes) == _MOST_STROKES:
        changes.remove("add")
    change = changes[chance.integers(len(changes))]
    if change == "add":
        return [*strokes, _joined(strokes, chance)]
    others = strokes[:which] + strokes[which + 1 :]
    if change == "drop":
        return others
    if change == "replace":
        return [*others, _joined(others, chance)]
    return [*others, _moved(strokes[which], mirror=change == "mirror", chance=chance)]


def _moved(stroke: Stroke, *, mirror: bool, chance: np.random.Generator) -> Stroke:
    moved: Stroke
    if mirror:
        middle = stroke.mean(axis=0)
        axis = np.array([[-1.0, 1.0], [1.0, -1.0]])[chance.integers(2)]
        moved = (stroke - middle) * axis + middle
    else:
        angle = chance.uniform(0, 2 * math.pi)
        way = np.array([math.cos(angle), math.sin(angle)])
        moved = stroke + chance.uniform(0.2, 0.45) * way
    return moved


# --- shapes of strokes; each is about 1 in size ---


def _line(chance: np.random.Generator) -> Stroke:
    """Straight or nearly; more often upright or level than not."""
    angle = chance.uniform(0, 2 * math.pi)
    if chance.random() < 0.6:
        angle = round(angle / (math.pi / 2)) * math.pi / 2 + chance.normal(0, 0.08)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    bow = chance.normal(0, 0.06) * np.array([0.0, 1.0, 0.0])
    return _smooth(np.array([0.0, 0.5, 1.0])[:, None] * along + bow[:, None] * across)


def _corners(chance: np.random.Generator) -> Stroke:
    """Two to four straight pieces."""
    count = int(chance.integers(2, 5))
    turn = chance.uniform(0, 2 * math.pi)
    angles = turn + np.cumsum(chance.uniform(0.7, 2.6, count) * chance.choice([-1, 1], count))
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps *= chance.uniform(0.4, 1.0, count)[:, None]
    return _even(_sized(np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])))


def _arc(chance: np.random.Generator) -> Stroke:
    return _ellipse(chance, chance.uniform(1.0, 5.4))


def _loop(chance: np.random.Generator) -> Stroke:
    """Closed, or nearly so."""
    return _ellipse(chance, chance.uniform(5.7, 6.6)) * 0.7


def _ellipse(chance: np.random.Generator, angle: float) -> Stroke:
    start, way = chance.uniform(0, 2 * math.pi), chance.choice([-1.0, 1.0])
    angles = start + way * np.linspace(0, angle, POINTS)
    shape = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _sized(_turned(shape * [1.0, chance.uniform(0.45, 1.0)], chance))


def _bows(chance: np.random.Generator) -> Stroke:
    """Bows in a row, all to one side or to both in turn, as in m, 3 and a wave."""
    count, high = int(chance.integers(2, 5)), chance.uniform(0.5, 1.3)
    along = np.linspace(0, count, POINTS * 2)
    within = (along % 1) * math.pi
    sides = np.where(np.floor(along) % 2, -1.0, 1.0) if chance.random() < 0.35 else 1.0
    bulge = high * np.sin(within) * sides * chance.choice([-1.0, 1.0])
    forward = np.floor(along) + (1 - np.cos(within)) / 2
    return _even(_sized(_turned(np.stack([forward, bulge], axis=1), chance)))


def _hook(chance: np.random.Generator) -> Stroke:
    """A line that ends in an arc, as in j, or with a small loop."""
    radius, angle = chance.uniform(0.12, 0.4), chance.uniform(1.5, 6.2)
    turns = np.linspace(0, angle, POINTS)
    arc = np.stack([radius * (1 - np.cos(turns)), 1 + radius * np.sin(turns)], axis=1)
    shape = np.concatenate([np.zeros((1, 2)), arc]) * [chance.choice([-1.0, 1.0]), 1.0]
    return _even(_sized(_turned(shape, chance)))


def _curve(chance: np.random.Generator) -> Stroke:
    """A smooth walk through a few random points."""
    return _sized(_smooth(chance.uniform(0, 1, (int(chance.integers(4, 7)), 2))))


_SHAPES: tuple[Callable[[np.random.Generator], Stroke], ...] = (
    _line, _corners, _arc, _loop, _bows, _hook, _curve,
)  # fmt: skip
_SHARES = (0.28, 0.14, 0.16, 0.08, 0.12, 0.12, 0.10)


def _turned(points: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    """By any angle, more often by a multiple of a right one."""
    angle = chance.uniform(0, 2 * math.pi)
    if chance.random() < 0.6:
        angle = round(angle / (math.pi / 2)) * math.pi / 2
    cosine, sine = math.cos(angle), math.sin(angle)
    turned: NDArray[np.float64] = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _sized(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The longer side of their rectangle becomes 1."""
    sized: NDArray[np.float64] = points / max(float(np.ptp(points, axis=0).max()), 1e-6)
    return sized


def _even(points: NDArray[np.float64]) -> Stroke:
    """POINTS points at even distances along the polyline through these."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, places[-1], POINTS)
    return np.stack([np.interp(wanted, places, points[:, axis]) for axis in (0, 1)], axis=1)


def _smooth(points: NDArray[np.float64]) -> Stroke:
    """A curve through these points, at least three: quadratic pieces, blended (Overhauser)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    places = np.linspace(0, len(points) - 1 - 1e-9, POINTS * 2)
    piece = places.astype(int)
    t = (places - piece)[:, None]
    a, b, c, d = (padded[piece + shift] for shift in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return _even(curve)
