"""Reads, verifies and warms up one bundle, in a thread of its own, within a bounded time."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.errors import BundleError
from dragoman_models.registry import load_model
from dragoman_server.held_bundle import held
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.repository_scan import folder_signature
from dragoman_server.served_families import SERVED_FAMILIES, ServedFamily

Answer = TypeVar("Answer")

LARGEST_BUNDLE_BYTES = 4 * 1024**3
LOAD_TIMEOUT_SECONDS = 300.0
_THREAD_NAME = "loading"
_log = logging.getLogger(__name__)


class BundleLoader:
    """Turns versions that are still to be loaded into versions that are READY or FAILED."""

    def __init__(
        self,
        *,
        families: Sequence[ServedFamily] = SERVED_FAMILIES,
        load: Callable[[Bundle], object] = load_model,
        largest_bytes: int = LARGEST_BUNDLE_BYTES,
        timeout_seconds: float = LOAD_TIMEOUT_SECONDS,
    ) -> None:
        self._families = {family.name: family for family in families}
        self._load = load
        self._largest_bytes = largest_bytes
        self._timeout_seconds = timeout_seconds

    def too_large(self, version: ModelVersion) -> str:
        """Why the bundle is too large to be read at all; empty where it is not."""
        if version.size_bytes <= self._largest_bytes:
            return ""
        return (
            f"the bundle has {version.size_bytes:,} bytes, and this server loads at most "
            f"{self._largest_bytes:,}; raise models.largest_bundle_bytes or make it smaller"
        )

    async def loaded(
        self, version: ModelVersion, running: ModelVersion | None = None
    ) -> ModelVersion:
        """`version` READY, or FAILED with the reason; never raises but when cancelled.

        `running` is what answers meanwhile: where the files are still its own, it is READY again
        without being loaded anew.
        """
        if reason := self.too_large(version):
            return _failed(version, reason)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await in_own_thread(lambda: self._loaded(version, running))
        except TimeoutError:
            return _failed(
                version,
                f"loading took longer than {self._timeout_seconds:g} s, and was given up; see "
                "whether its disk answers, or raise models.load_timeout_seconds",
            )

    def _loaded(self, version: ModelVersion, running: ModelVersion | None) -> ModelVersion:
        started = time.monotonic()
        try:
            bundle = read_bundle(version.path)
            if running is not None and bundle.checksums == running.checksums:
                _log.info("model %s is unchanged", version)
                return replace(
                    running, path=version.path, signature=version.signature, failure_reason=""
                )
            model = self._load(held(bundle))
            family = self._families.get(bundle.family)
            if family is not None:
                family.warm_up(model)
            _check_unchanged(version)
        except BundleError as error:
            return _failed(version, error.reason)
        except Exception as error:
            _log.exception("loading %s failed", version)
            return _failed(version, f"{type(error).__name__}: {error}")
        seconds = time.monotonic() - started
        _log.info("model %s is ready after %.2f s", version, seconds)
        return replace(
            version,
            config=bundle.config,
            metrics=bundle.metrics,
            card=bundle.card,
            checksums=bundle.checksums,
            state=ModelState.READY,
            failure_reason="",  # why it could not be loaded before is over
            model=model,
            ready_at=datetime.now(UTC),
            load_seconds=seconds,
        )


async def in_own_thread(work: Callable[[], Answer]) -> Answer:
    """What `work` returns or raises, in a new thread. A pool's thread that a dead disk holds would
    be missed by others, and waited for when the process ends; nobody waits for this one."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: BaseException | None) -> None:
        if future.done():  # nobody waits any more
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type]

    def run() -> None:
        answer, error = None, None
        try:
            answer = work()
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, answer, error)

    threading.Thread(target=run, name=_THREAD_NAME, daemon=True).start()
    return await future


def threads_at_work() -> int:
    """Threads of `in_own_thread` that have not ended, also those that nobody waits for."""
    return sum(thread.name == _THREAD_NAME for thread in threading.enumerate())


def _check_unchanged(version: ModelVersion) -> None:
    """Raises `BundleError` where somebody wrote to the bundle while it was read."""
    if version.signature and folder_signature(version.path) != version.signature:
        raise BundleError(
            version.path, "it changed while it was read; it is read again once it rests"
        )


def _failed(version: ModelVersion, reason: str) -> ModelVersion:
    line = " ".join(reason.split())
    _log.error("model %s is refused: %s", version, line)
    return replace(version, state=ModelState.FAILED, failure_reason=line)
