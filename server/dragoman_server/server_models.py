"""The models of a server as its settings describe them, with nothing loaded yet."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

from dragoman_models.bundle import Bundle
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.vision.image_decoding import ImageLimits
from dragoman_server.bundle_loading import BundleLoader
from dragoman_server.config import ServerSettings
from dragoman_server.live_models import LiveModels
from dragoman_server.model_names import ModelNames
from dragoman_server.model_repository import ModelRepository
from dragoman_server.repository_scan import RepositoryFolders, shipped_repository
from dragoman_server.repository_watch import RepositoryWatcher
from dragoman_server.served_families import (
    CLASSIFY,
    DETECT,
    EMBED_IMAGE,
    EMBEDDING_SERVICE,
    LANGUAGE_MODEL_SERVICE,
    TRANSLATION_SERVICE,
)
from dragoman_server.served_model import load_served_model
from dragoman_server.workers.model_placement import PlacedModels
from dragoman_server.workers.model_pool import ModelPool

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServerModels:
    """The repository, what changes it, and what looks at its folders (None: nothing does);
    and where models are, with the processes that heavy ones are in."""

    repository: ModelRepository
    live: LiveModels
    watcher: RepositoryWatcher | None
    placed: PlacedModels


def open_models(settings: ServerSettings) -> ServerModels:
    """Looks at the folders for the first time. Raises `ConfigError`."""
    folders = list(settings.model_repositories)
    if settings.shipped_models:
        folders.append(shipped_repository())
    looked_at = RepositoryFolders(folders)
    scan = looked_at.scan()
    if not scan.found:
        _log.warning("there are no models in %s", ", ".join(map(str, folders)) or "no folder")
    models = settings.models
    repository = ModelRepository(
        scan.versions(),
        defaults={
            EMBEDDING_SERVICE: settings.default_models.embedding,
            TRANSLATION_SERVICE: settings.default_models.translation,
            LANGUAGE_MODEL_SERVICE: settings.default_models.language_model,
            CLASSIFY: settings.default_models.vision_classifier,
            DETECT: settings.default_models.vision_detector,
            EMBED_IMAGE: settings.default_models.vision_embedder,
        },
        names=ModelNames(models.aliases, models.pinned),
    )
    placed = _placed_models(settings)
    loader = BundleLoader(
        load=placed.load,
        largest_bytes=models.largest_bundle_bytes,
        timeout_seconds=models.load_timeout_seconds,
    )
    live = LiveModels(repository, loader=loader, folders=looked_at)
    watcher = None
    if models.watch_seconds > 0:
        watcher = RepositoryWatcher(live, looked_at, models.watch_seconds)
    return ServerModels(repository=repository, live=live, watcher=watcher, placed=placed)


def _placed_models(settings: ServerSettings) -> PlacedModels:
    translation = TranslationFamily(
        arithmetic=settings.translation_arithmetic, use_shortlist=settings.translation_shortlist
    )
    images = ImageLimits(
        most_bytes=settings.limits.image_bytes, most_pixels=settings.limits.image_pixels
    )
    load = functools.partial(load_served_model, translation=translation, images=images)
    return PlacedModels(
        settings.processes(),
        threads=settings.threads_per_call,
        load=load,
        image_processes=settings.image_processes(),
        pool=_ray_pool(settings, load) if settings.engine == "ray" else None,
    )


def _ray_pool(settings: ServerSettings, load: Callable[[Bundle], object]) -> ModelPool:
    from dragoman_server.ray_engine.ray_pool import RayPool

    return RayPool(settings.ray, threads=settings.threads_per_call, load=load)
