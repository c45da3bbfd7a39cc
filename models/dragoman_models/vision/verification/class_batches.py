"""Batches of P classes with K images each, without which a batch would hold hardly a triplet.

Every class stands four times where `quarter_turns` is set, turned by 0, 90, 180 and 270 degrees:
a turned character is a character of its own (Santoro et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dragoman_models.vision.verification.labelled_images import LabelledImages


@dataclass(frozen=True, kw_only=True)
class BatchShape:
    """P classes of K images; `group_share` of the batches are of the classes of one group.

    Args:
        classes: P, from 2; a batch has fewer where there are fewer.
        images: K, from 2.
        quarter_turns: whether the four quarter turns of a class are classes.
        group_share: from 0 to 1.
    """

    classes: int
    images: int
    quarter_turns: bool
    group_share: float


@dataclass(frozen=True, kw_only=True)
class ClassBatch:
    """Images (B, C, S, S), from 0 to 1, and the class of each (B,)."""

    images: Tensor
    classes: Tensor


class ClassBatches:
    """Draws batches from labelled images; a class with one image is never drawn."""

    def __init__(self, data: LabelledImages, shape: BatchShape) -> None:
        self._pixels = torch.from_numpy(data.pixels)
        self._members = data.members()
        self._shape = shape
        turns = 4 if shape.quarter_turns else 1
        usable = [number for number, own in enumerate(self._members) if len(own) > 1]
        # (variants, 2): class and turns
        self._all = np.array([(c, turn) for c in usable for turn in range(turns)])
        groups = [data.class_groups[c] for c, _ in self._all]
        self._groups = [self._all[np.array(groups) == name] for name in sorted(set(groups))]
        self._group_weights = np.array([len(own) for own in self._groups], float)
        self._group_weights /= self._group_weights.sum()

    @property
    def class_count(self) -> int:
        """How many classes, their turns counted, batches are drawn from."""
        return len(self._all)

    def draw(self, chance: np.random.Generator) -> ClassBatch:
        """The next batch: classes without repetition, images without where a class has enough."""
        pool = self._all
        if chance.random() < self._shape.group_share:
            pool = self._groups[chance.choice(len(self._groups), p=self._group_weights)]
        count = min(self._shape.classes, len(pool))
        chosen = pool[chance.choice(len(pool), size=count, replace=False)]
        parts = [self._images(number, turn, chance) for number, turn in chosen]
        each = self._shape.images
        return ClassBatch(
            images=torch.cat(parts).float() / 255,
            classes=torch.arange(count).repeat_interleave(each),
        )

    def _images(self, number: int, turn: int, chance: np.random.Generator) -> Tensor:
        own = self._members[number]
        each = self._shape.images
        rows = chance.choice(own, size=each, replace=len(own) < each)
        return torch.rot90(self._pixels[rows], int(turn), (-2, -1))
