"""One version of one model in the server, at one moment."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

Key = tuple[str, int]  # name and version
FolderSignature = tuple[tuple[str, int, int, int], ...]


class ModelState(enum.Enum):
    """What a version can do now."""

    LOADING = "loading"  # being read, verified and warmed up
    READY = "ready"  # in memory, warm, and answering
    FAILED = "failed"  # refused
    UNLOADED = "unloaded"  # on disk, and not in memory because someone unloaded it


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A bundle of the repository, and the model in it once that is READY.

    `config`, `metrics` and `card` are verified once it is READY; before, they are what could be
    read, for the list of models alone. `signature` is what the folder looked like when it was last
    read (see `repository_scan`). A READY version with a `failure_reason` answers as before, though
    its folder has changed since into something that was refused.
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
    signature: FolderSignature = ()
    checksums: Mapping[str, str] = field(default_factory=dict)  # of a READY version's files

    @property
    def key(self) -> Key:
        """What the version is known by."""
        return self.name, self.version

    @property
    def family(self) -> str:
        """The family's name; empty when the bundle is too damaged to tell."""
        family = self.config.get("family")
        return family if isinstance(family, str) else ""

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"
