"""The life of a server process: listen, load, serve, drain, end."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from dragoman_server.config import ServerSettings
from dragoman_server.grpc_server import ServerParts, build_server
from dragoman_server.health import OVERALL
from dragoman_server.listening import listen
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState
from dragoman_server.observability.health_port import served_health
from dragoman_server.observability.metrics_port import served_metrics
from dragoman_server.observability.tracing import traced
from dragoman_server.repository_scan import find_bundles, shipped_repository
from dragoman_server.security.server_credentials import server_credentials
from dragoman_server.served_families import (
    EMBEDDING_SERVICE,
    LANGUAGE_MODEL_SERVICE,
    TRANSLATION_SERVICE,
)
from dragoman_server.services.evaluation import EVALUATION_SERVICE
from dragoman_server.services.model import MODEL_SERVICE

# Time for the watchers of health to hear that nothing serves any more, before their streams end.
_NOTICE_SECONDS = 0.1
# Time for the answers of calls that have just ended to leave.
_LAST_WRITES_SECONDS = 1.0
_log = logging.getLogger(__name__)


async def serve(settings: ServerSettings) -> bool:
    """Serve until SIGTERM or SIGINT; whether every thread had ended its work by then.

    Raises `StartupError` where the server cannot start.
    """
    with served_metrics(settings) as metrics, traced(settings.traces) as tracing:
        credentials = server_credentials(settings)
        repository = open_repository(settings)
        parts = build_server(settings, repository, metrics=metrics, tracing=tracing)
        address = listen(parts.server, settings.address, credentials)
        async with served_health(settings, parts.health):
            return await _run(parts, repository, settings, address)


async def _run(
    parts: ServerParts, repository: ModelRepository, settings: ServerSettings, address: str
) -> bool:
    with _signals() as stop:
        await parts.health.start()
        await parts.server.start()
        _say(f"Dragoman is listening on {address}")
        loader = ThreadPoolExecutor(1, thread_name_prefix="loading")
        loading = asyncio.create_task(_load(repository, parts, loader))
        await _until_stopped(stop, loading)
        idle = await _drain(parts, settings.drain_seconds, stop)
        still_loading = not loading.done()
        loading.cancel()
        loader.shutdown(wait=False, cancel_futures=True)
    return idle and not still_loading


def open_repository(settings: ServerSettings) -> ModelRepository:
    """The repository that the settings describe, with nothing loaded yet."""
    folders = list(settings.model_repositories)
    if settings.shipped_models:
        folders.append(shipped_repository())
    found = find_bundles(folders)
    if not found:
        _log.warning("there are no models in %s", ", ".join(map(str, folders)) or "no folder")
    defaults = {
        EMBEDDING_SERVICE: settings.default_models.embedding,
        TRANSLATION_SERVICE: settings.default_models.translation,
        LANGUAGE_MODEL_SERVICE: settings.default_models.language_model,
    }
    return ModelRepository(found, defaults=defaults)


async def _load(
    repository: ModelRepository, parts: ServerParts, loader: ThreadPoolExecutor
) -> None:
    """Load all models, and let health say so as each service becomes able to answer."""
    await parts.health.set_serving([MODEL_SERVICE])
    await repository.load_all(loader)
    await parts.evaluation.warm_up()
    services = repository.ready_services()
    await parts.health.set_serving([*sorted(services), EVALUATION_SERVICE])
    ready = [one for one in repository.versions() if one.state is ModelState.READY]
    if ready:
        await parts.health.set_serving([OVERALL])
    failed = len(repository.versions()) - len(ready)
    _say(f"ready: {len(ready)} models" + (f", {failed} refused" if failed else ""))


async def _until_stopped(stop: asyncio.Queue[int], loading: asyncio.Task[None]) -> None:
    signalled = asyncio.create_task(stop.get())
    await asyncio.wait([signalled, loading], return_when=asyncio.FIRST_COMPLETED)
    if not signalled.done():
        loading.result()  # a defect in loading ends the server instead of leaving it half alive
    _log.info("stopping on %s", signal.Signals(await signalled).name)


async def _drain(parts: ServerParts, seconds: float, stop: asyncio.Queue[int]) -> bool:
    """Finish the calls in flight, for at most `seconds`; a second signal ends them at once."""
    await parts.health.drain()
    parts.admission.refuse_new_calls()
    _log.info("draining: %d calls in flight", parts.admission.in_flight)
    idle = asyncio.create_task(parts.admission.wait_until_idle(seconds))
    again = asyncio.create_task(stop.get())
    await asyncio.wait([idle, again], return_when=asyncio.FIRST_COMPLETED)
    if not (idle.done() and idle.result()):
        _log.warning("%d calls were not answered in time", parts.admission.in_flight)
    idle.cancel()
    again.cancel()
    await asyncio.sleep(_NOTICE_SECONDS)
    parts.admission.end_calls()
    for queue in parts.queues:
        queue.close()
    await parts.server.stop(_LAST_WRITES_SECONDS)
    parts.scoring_process.stop()
    return all(queue.running == 0 for queue in parts.queues)


@contextmanager
def _signals() -> Iterator[asyncio.Queue[int]]:
    """A queue of the signals that ask the server to stop."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[int] = asyncio.Queue()
    watched = (signal.SIGTERM, signal.SIGINT)
    for number in watched:
        loop.add_signal_handler(number, queue.put_nowait, number)
    try:
        yield queue
    finally:
        for number in watched:
            loop.remove_signal_handler(number)


def _say(line: str) -> None:
    """A line for whoever started the server; the log goes to standard error."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
