"""A repository on disk that a test changes, with all that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dragoman.v1 import embedding_service_pb2, model_pb2
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.vocabulary import Vocabulary
from dragoman_server.bundle_loading import BundleLoader
from dragoman_server.live_models import LiveModels
from dragoman_server.model_names import ModelNames
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState
from dragoman_server.repository_scan import RepositoryFolders, peek
from dragoman_server.repository_watch import RepositoryWatcher

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, RunningServer, ServerFactory


@dataclass(frozen=True, kw_only=True)
class Live:
    """A repository on disk with all that follows it; a test says when to look."""

    repository: ModelRepository
    models: LiveModels
    watcher: RepositoryWatcher

    async def rest(self) -> None:
        """What a folder that rests has to wait for: two looks that agree."""
        await self.watcher.look()
        await self.watcher.look()

    def states(self) -> dict[str, ModelState]:
        return {str(version): version.state for version in self.repository.versions()}

    def current(self, name: str = "animals") -> int | None:
        found = self.repository.current(name)
        return None if found is None else found.version


async def live(*folders: Path, names: ModelNames | None = None, **options: Any) -> Live:
    looked_at = RepositoryFolders(folders)
    found = looked_at.scan().found
    repository = ModelRepository([peek(found[key]) for key in sorted(found)], names=names)
    models = LiveModels(repository, loader=BundleLoader(**options), folders=looked_at)
    await models.load_all()
    watcher = RepositoryWatcher(models, looked_at, 0.01)
    return Live(repository=repository, models=models, watcher=watcher)


@asynccontextmanager
async def serving(server_with: ServerFactory, one: Live) -> AsyncIterator[RunningServer]:
    """A server of the repository, which is looked at all the time."""
    async with server_with(repository=one.repository, live=one.models) as server:
        watching = asyncio.create_task(one.watcher.run())
        yield server
        watching.cancel()


def embed(name: str = "animals", version: int | None = None) -> embedding_service_pb2.EmbedRequest:
    return embedding_service_pb2.EmbedRequest(
        words=["cat"], model=model_pb2.ModelSelector(name=name, version=version)
    )


def add_scaled(bundles: BundleFolder, version: int, factor: float, rows: int = 6) -> Path:
    """Vectors of which every component of "cat" is ``factor``."""
    folder = bundles.path / "animals" / str(version)
    words = ("cat", *(f"w{row}" for row in range(1, rows)))
    matrix = np.full((rows, 3), factor, np.float32)
    write_word_vectors(
        folder, WordVectors(Vocabulary(words), matrix), encoding=VectorEncoding.FLOAT32,
        details={}, metrics={}, card="# Scaled\n",
    )  # fmt: skip
    return folder
