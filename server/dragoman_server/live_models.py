"""Loads and unloads versions while the others answer.

A version is loaded beside what answers, and takes its place only when it is verified and warm: a
call either got the old one, and keeps it until it ends, or gets the new one. Versions are loaded
one after the other, each within a bounded time, so that none holds up the rest for ever.
"""

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from dragoman_models.allocation import give_back_freed_memory
from dragoman_models.errors import LimitExceededError, ModelNotLoadedError, quoted
from dragoman_server.bundle_loading import BundleLoader, in_own_thread
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import Key, ModelState, ModelVersion
from dragoman_server.repository_scan import BundleFolder, RepositoryFolders, Scan, peek

_DESTRUCTION_SECONDS = 0.2  # between the end of a model's last call and that of its memory
_log = logging.getLogger(__name__)


class LiveModels:
    """What may change in a repository while the server runs. Belongs to the event loop."""

    def __init__(
        self,
        repository: ModelRepository,
        *,
        loader: BundleLoader | None = None,
        folders: RepositoryFolders | None = None,
    ) -> None:
        """Without `folders`, the repository has what it was made with and gets no more."""
        self._repository = repository
        self._loader = loader or BundleLoader()
        self._folders = folders
        self._lock = asyncio.Lock()  # one is loaded at a time
        self._loading: dict[Key, asyncio.Task[ModelVersion]] = {}
        self._on_change: Callable[[], Awaitable[None]] | None = None

    async def load_all(self) -> None:
        """Load all that is LOADING, one version after the other; none stops the rest."""
        for key in [one.key for one in self._repository.versions()]:
            version = self._repository.version(key)
            if version is not None and version.state is ModelState.LOADING:
                await self._load(version)

    def tell_changes(self, on_change: Callable[[], Awaitable[None]]) -> None:
        """From now on, await `on_change` after each version that comes or goes."""
        self._on_change = on_change

    async def load(self, name: str, version: int | None, *, pin: bool) -> ModelVersion:
        """The version READY; without a number the highest there is, after a look at the disk.

        Raises `InvalidInputError`, `ModelNotFoundError`, `ModelNotLoadedError` with the reason why
        the bundle was refused, and `LimitExceededError` where that is its size.
        """
        if self._folders is not None:
            scan = await in_own_thread(self._folders.scan)
            await self._add_found(scan, *self._repository.names.resolved(name, version))
        asked = self._repository.named(name, version)[-1]
        changed = await self._changed_folder(asked, scan) if self._folders is not None else None
        if changed is not None or asked.state is not ModelState.READY or asked.failure_reason:
            asked = await self._load(changed or asked)
        if asked.state is not ModelState.READY or asked.failure_reason:
            self._refuse(asked)
        if pin:
            self._repository.names.pin(asked)
        return asked

    async def unload(self, name: str, version: int | None) -> list[ModelVersion]:
        """Take a version, or all of a model, out of memory once the calls that it answers at the
        moment have ended. Raises `InvalidInputError` and `ModelNotFoundError`."""
        keys = [one.key for one in self._repository.named(name, version)]
        for key in keys:
            if key in self._loading:
                await asyncio.wait([self._loading[key]])
        unloaded = []
        for key in keys:
            found = self._repository.version(key)
            if found is None:  # its folder was removed meanwhile
                continue
            if found.state is not ModelState.UNLOADED:
                self._watch_memory(found)
                found = replace(
                    found, state=ModelState.UNLOADED, model=None, failure_reason="", ready_at=None
                )
                self._repository.put(found)
                self._repository.names.unpin(found)
                _log.info("model %s is unloaded", found)
            unloaded.append(found)
        await self._tell()
        return unloaded

    async def apply(self, settled: Mapping[Key, BundleFolder], scan: Scan) -> None:
        """Load what is new or changed among the folders that have `settled`, and then forget what
        has gone, according to `scan`."""
        for key in sorted(settled):
            known, folder = self._repository.version(key), settled[key]
            if known is not None and _is_of(known, folder):
                continue
            version = await in_own_thread(partial(peek, folder))
            if known is not None and known.state is ModelState.UNLOADED:
                self._repository.put(replace(version, state=ModelState.UNLOADED))
            else:
                await self._load(version)
        for version in self._repository.versions():
            if scan.is_gone(version):
                self._remove(version)
                await self._tell()

    async def _add_found(self, scan: Scan, name: str, version: int | None) -> None:
        """Make a folder known that was not there before; without a number the highest."""
        numbers = [number for found, number in scan.found if found == name]
        key = (name, max(numbers, default=0) if version is None else version)
        if key in scan.found and self._repository.version(key) is None:
            self._repository.put(await in_own_thread(partial(peek, scan.found[key])))

    async def _changed_folder(self, version: ModelVersion, scan: Scan) -> ModelVersion | None:
        """What is in the folder now, where it is another than when the version was read."""
        folder = scan.found.get(version.key)
        if folder is None or _is_of(version, folder):
            return None
        return await in_own_thread(partial(peek, folder))

    async def _load(self, version: ModelVersion) -> ModelVersion:
        """What became of a version; if two ask for it at once, it is loaded once. Whoever asks may
        go away: it is loaded all the same."""
        task = self._loading.get(version.key)
        if task is None:
            task = asyncio.create_task(self._load_in_turn(version))
            self._loading[version.key] = task
            task.add_done_callback(lambda _: self._loading.pop(version.key, None))
        return await asyncio.shield(task)

    async def _load_in_turn(self, version: ModelVersion) -> ModelVersion:
        async with self._lock:
            known = self._repository.version(version.key)
            running = known if known is not None and known.state is ModelState.READY else None
            if running is None:
                self._repository.put(replace(version, state=ModelState.LOADING, failure_reason=""))
            found = await self._loader.loaded(version, running)
            if running is not None:
                if found.state is ModelState.FAILED:
                    _log.error("model %s answers as before", running)
                    found = replace(
                        running,
                        path=found.path,
                        signature=found.signature,
                        failure_reason=found.failure_reason,
                    )
                elif found.model is not running.model:
                    self._watch_memory(running)
            self._repository.put(found)
        await self._tell()
        return found

    def _remove(self, version: ModelVersion) -> None:
        _log.info("model %s is unloaded: %s has gone", version, version.path)
        self._watch_memory(version)
        self._repository.remove(version)

    def _refuse(self, version: ModelVersion) -> None:
        if self._loader.too_large(version):
            raise LimitExceededError(str(version), version.failure_reason)
        raise ModelNotLoadedError(
            str(version), f"model {quoted(str(version))} was refused: {version.failure_reason}"
        )

    def _watch_memory(self, version: ModelVersion) -> None:
        """Have the memory of a model returned to the system when its last call has ended."""
        loop = asyncio.get_running_loop()

        def give_back() -> None:
            loop.run_in_executor(None, give_back_freed_memory)

        def destroyed() -> None:  # in whichever thread held the last reference
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(loop.call_later, _DESTRUCTION_SECONDS, give_back)

        if version.model is not None:
            with suppress(TypeError):  # of what no weak reference can be had, nothing is heard
                weakref.finalize(version.model, destroyed).atexit = False

    async def _tell(self) -> None:
        if self._on_change is not None:
            await self._on_change()


def _is_of(version: ModelVersion, folder: BundleFolder) -> bool:
    """Whether the version was read from this folder as it is now."""
    return (version.path, version.signature) == (folder.path, folder.signature)
