"""Images with what is known of each: the class it shows, the class's group, and who made it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """N prepared images.

    A class is what an embedding must tell apart: a character, a person. A group is what its classes
    have in common, such as an alphabet; where there is none, all are of one group.
    """

    pixels: NDArray[np.uint8]  # (N, C, size, size)
    classes: NDArray[np.int64]  # (N,), index into class_names
    makers: NDArray[np.int64]  # (N,), who drew or took it; of no meaning between groups
    class_names: tuple[str, ...]
    class_groups: tuple[str, ...]  # one for each class

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups' names, sorted."""
        return tuple(sorted(set(self.class_groups)))

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def only_groups(self, groups: tuple[str, ...]) -> LabelledImages:
        """The images whose class is of one of these groups; classes are numbered anew."""
        kept = [number for number, group in enumerate(self.class_groups) if group in groups]
        return self.only_classes(np.array(kept, np.int64))

    def only_classes(self, kept: NDArray[np.int64]) -> LabelledImages:
        """The images of these classes, which are numbered anew in their order."""
        renumbered = np.full(self.class_count, -1, np.int64)
        renumbered[kept] = np.arange(len(kept))
        chosen = np.flatnonzero(renumbered[self.classes] >= 0)
        return LabelledImages(
            pixels=self.pixels[chosen],
            classes=renumbered[self.classes[chosen]],
            makers=self.makers[chosen],
            class_names=tuple(self.class_names[number] for number in kept),
            class_groups=tuple(self.class_groups[number] for number in kept),
        )

    def members(self) -> list[NDArray[np.int64]]:
        """Of each class, the numbers of its images."""
        order = np.argsort(self.classes, kind="stable")
        bounds = np.searchsorted(self.classes[order], np.arange(1, self.class_count))
        return np.split(order, bounds)
