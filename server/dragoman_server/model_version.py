"""One version of one model in the server, at one moment."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


class ModelState(enum.Enum):
    """What a version can do now."""

    LOADING = "loading"  # being read, verified and warmed up
    READY = "ready"  # in memory, warm, and answering
    FAILED = "failed"  # refused


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A bundle of the repository, and the model in it once that is READY.

    `config`, `metrics` and `card` are verified once it is READY; before, they are what could be
    read, for the list of models alone.
    """

    name: str
    version: int
    path: Path
    size_bytes: int
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    state: ModelState = ModelState.LOADING
    failure_reason: str = ""
    model: Any = None
    ready_at: datetime | None = None
    load_seconds: float = 0.0

    @property
    def family(self) -> str:
        """The family's name; empty when the bundle is too damaged to tell."""
        family = self.config.get("family")
        return family if isinstance(family, str) else ""

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"
