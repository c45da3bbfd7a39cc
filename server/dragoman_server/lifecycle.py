"""The life of a server process: listen, load, serve, drain, end."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dragoman_server.bundle_loading import in_own_thread, threads_at_work
from dragoman_server.config import ServerSettings
from dragoman_server.grpc_server import ServerParts, build_server
from dragoman_server.health import OVERALL
from dragoman_server.interpreter import leave_models_out_of_collections, share_the_lock
from dragoman_server.listening import listen
from dragoman_server.model_version import ModelState
from dragoman_server.observability.health_port import served_health
from dragoman_server.observability.metrics_port import served_metrics
from dragoman_server.observability.tracing import traced
from dragoman_server.security.server_credentials import server_credentials
from dragoman_server.served_families import SERVED_FAMILIES
from dragoman_server.server_models import ServerModels, open_models
from dragoman_server.services.evaluation import EVALUATION_SERVICE
from dragoman_server.services.model import MODEL_SERVICE

_MODELS_SERVICES = frozenset(family.service for family in SERVED_FAMILIES)
# Time for the watchers of health to hear that nothing serves any more, before their streams end.
_NOTICE_SECONDS = 0.1
# Time for the answers of calls that have just ended to leave.
_LAST_WRITES_SECONDS = 1.0
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_log = logging.getLogger(__name__)


async def serve(settings: ServerSettings) -> bool:
    """Serve until SIGTERM or SIGINT; whether every thread had ended its work by then.

    Raises `StartupError` where the server cannot start.
    """
    share_the_lock()
    with served_metrics(settings) as metrics, traced(settings.traces) as tracing:
        credentials = server_credentials(settings)
        models = open_models(settings)
        parts = build_server(
            settings, models.repository, models.live, metrics=metrics, tracing=tracing
        )
        address = listen(parts.server, settings.address, credentials)
        async with served_health(settings, parts.health):
            return await _run(parts, models, settings, address)


async def _run(
    parts: ServerParts, models: ServerModels, settings: ServerSettings, address: str
) -> bool:
    with _signals() as stop, closing(models.placed):
        await parts.health.start()
        await parts.server.start()
        _say(f"Dragoman is listening on {address}")
        working = asyncio.create_task(_work(models, parts, stop))
        try:
            await _until_stopped(stop, working)
        except BaseException:
            await parts.server.stop(0)
            parts.scoring_process.stop()
            raise
        idle = await _drain(parts, settings.drain_seconds, stop)
        working.cancel()
    return idle and threads_at_work() == 0


async def _work(models: ServerModels, parts: ServerParts, stop: asyncio.Queue[int]) -> None:
    await parts.health.set_serving([MODEL_SERVICE])
    await in_own_thread(models.placed.start)
    _tell_signals(stop)  # Ray has put a handler of its own in the place of ours
    await _load_and_watch(models, parts)


async def _load_and_watch(models: ServerModels, parts: ServerParts) -> None:
    """Load all models, and let health say so as each service becomes able to answer; then follow
    what becomes of the repository."""
    await models.live.load_all()
    await parts.evaluation.warm_up()
    await parts.health.set_serving([EVALUATION_SERVICE])

    async def tell_health() -> None:
        ready = models.repository.ready_services()
        await parts.health.set_serving([*sorted(ready), *([OVERALL] if ready else [])])
        others = sorted(_MODELS_SERVICES - ready)
        await parts.health.set_not_serving([*others, *([] if ready else [OVERALL])])

    await tell_health()
    models.live.tell_changes(tell_health)
    versions = models.repository.versions()
    ready = [one for one in versions if one.state is ModelState.READY]
    failed = [one for one in versions if one.state is ModelState.FAILED]
    _say(f"ready: {len(ready)} models" + (f", {len(failed)} refused" if failed else ""))
    leave_models_out_of_collections()
    if models.watcher is not None:
        await models.watcher.run()


async def _until_stopped(stop: asyncio.Queue[int], working: asyncio.Task[None]) -> None:
    signalled = asyncio.create_task(stop.get())
    await asyncio.wait([signalled, working], return_when=asyncio.FIRST_COMPLETED)
    if not signalled.done():
        working.result()  # a defect in it ends the server instead of leaving it half alive
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
    queue: asyncio.Queue[int] = asyncio.Queue()
    _tell_signals(queue)
    try:
        yield queue
    finally:
        for number in _STOPPING:
            asyncio.get_running_loop().remove_signal_handler(number)


def _tell_signals(queue: asyncio.Queue[int]) -> None:
    for number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, queue.put_nowait, number)


def _say(line: str) -> None:
    """A line for whoever started the server; the log goes to standard error."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
