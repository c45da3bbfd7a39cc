"""What a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The data, as a model's card has to name it."""

    description: str
    license: str
    attribution: str
