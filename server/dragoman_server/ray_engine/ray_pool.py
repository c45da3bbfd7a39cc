"""The replicas of all models: an application of Ray Serve for each bundle."""

import asyncio
import concurrent.futures
import itertools
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError, DragomanError, OverloadedError, WorkCancelledError
from dragoman_models.registry import load_model
from dragoman_server.ray_engine.ray_engine import Arrival, Ended, RayEngine, Restarted
from dragoman_server.ray_engine.ray_session import RaySession
from dragoman_server.ray_engine.ray_settings import RayFamily, RaySettings
from dragoman_server.served_families import IMAGE_FAMILIES, IMAGE_NICENESS
from dragoman_server.workers.messages import Call, Join, Reply
from dragoman_server.workers.shared_bundle import SharedBundle
from dragoman_server.workers.wanted import Wanted

if TYPE_CHECKING:
    from dragoman_server.ray_engine.replica_calls import Application

_RETRY_SECONDS = 1.0
_LONGEST_SECONDS = 300.0  # for a call that nobody can cancel
_POLL_SECONDS = 0.003  # between two looks whether the caller still wants an answer
_LOOK_SECONDS = 2.0  # between two looks whether a new application can start at all
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A model, and what reaches its replicas. The reference keeps its weights in Ray."""

    bundle: SharedBundle
    reference: Any
    application: "Application"


class RayPool:
    """A `ModelPool` of Ray Serve."""

    def __init__(
        self,
        settings: RaySettings,
        *,
        threads: int = 1,
        load: Callable[[Bundle], object] = load_model,
    ) -> None:
        """Args:
        threads: that the arithmetic of one replica uses.
        load: what replicas load a bundle by; it travels by its name in its module.
        """
        self._settings = settings
        self._threads = threads
        self._load = load
        self._session = RaySession(settings)
        self._models: dict[int, _Placed] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._starting = threading.Lock()  # apart, so that a server that stops need not wait for it
        self._started = False
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="replicas", daemon=True)

    def start(self) -> None:
        """Start Ray or join its cluster. Raises `StartupError`."""
        with self._starting:
            if not self._started:
                self._session.start()
                self._thread.start()
                self._started = True

    def process_ids(self) -> list[int]:
        """Replicas have none that mean anything here."""
        return []

    def add(self, bundle: SharedBundle, count: int) -> int:
        """Have Ray start the replicas of a model, and wait for the first; its number.

        Raises what loading raises there, and `BundleError` where no replica starts.
        """
        import ray

        from dragoman_server.ray_engine.stored_bundle import stored

        self.start()
        number = next(self._numbers)
        board = self._session.board
        reference = ray.put(stored(bundle))
        try:
            ray.get(board.add.remote(number, [reference]))
            application = self._deploy(number, bundle)
            reply = self._first_report(number, bundle)
            if reply.error is not None:
                raise reply.error
            if reply.traceback:
                raise RuntimeError(f"in a replica:\n{reply.traceback}")
        except ray.exceptions.RayError as error:
            self._delete_soon(number, bundle)
            raise BundleError(bundle.path, f"Ray: {error}") from error
        except BaseException:
            self._delete_soon(number, bundle)
            raise
        with self._lock:
            self._models[number] = _Placed(
                bundle=bundle, reference=reference, application=application
            )
        return number

    def remove(self, number: int) -> None:
        """Delete the application of a model; returns at once."""
        with self._lock:
            placed = self._models.pop(number, None)
        if placed is not None:
            self._delete_soon(number, placed.bundle)

    def call(self, model: int, request: Call, wanted: Wanted | None = None) -> Any:
        """What a replica answers; asked once more where the first one is lost.

        Raises what the request raises, `WorkCancelledError`, and `OverloadedError` where replicas
        are lost, or none is free for long.
        """
        from dragoman_server.ray_engine.replica_calls import ReplicaLostError, answer, ended

        application = self._placed(model).application
        for attempt in (1, 2):
            number = uuid.uuid4().hex
            running = self._run(answer(application, number, request))
            try:
                reply = self._reply(number, running, wanted)
            except ReplicaLostError as error:
                _log.warning("a replica of model %d was lost", model)
                if attempt == 2:
                    raise ended() from error
                continue
            if reply.error is not None:
                raise reply.error
            if reply.traceback:
                raise RuntimeError(f"in a replica:\n{reply.traceback}")
            return reply.value
        raise AssertionError("unreachable")

    def engine(self, model: int, *, keep: object) -> RayEngine:
        """An empty batch of continuations."""
        application = self._placed(model).application

        def open_stream(join: Join, deliver: Callable[[Arrival], None]) -> Callable[[], None]:
            pumping = self._run(_pump(application, join, deliver))

            def close() -> None:
                pumping.cancel()

            return close

        return RayEngine(open_stream, keep=keep)

    def close(self) -> None:
        """End all calls, and Ray or the connection to it."""
        with self._lock:
            if self._closed or not self._started:
                self._closed = True
                return
            self._closed = True
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(5.0)
        self._session.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    # --- calls ---

    def _placed(self, model: int) -> _Placed:
        with self._lock:
            placed = self._models.get(model)
        if placed is None:
            raise OverloadedError("the model has left the replicas", _RETRY_SECONDS)
        return placed

    def _run(self, work: Coroutine[Any, Any, Any]) -> "concurrent.futures.Future[Any]":
        if self._closed:
            work.close()
            raise OverloadedError("the server is stopping", _RETRY_SECONDS)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _reply(
        self, number: str, running: "concurrent.futures.Future[Reply]", wanted: Wanted | None
    ) -> Reply:
        """Waits for it, and has the replica drop what is not wanted meanwhile."""
        told: frozenset[int] = frozenset()
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not concurrent.futures.wait([running], _POLL_SECONDS).done:
            if wanted is None:
                if time.monotonic() > deadline:
                    running.cancel()
                    raise OverloadedError("a replica does not answer", _RETRY_SECONDS)
                continue
            if indices := wanted.cancelled() - told:
                told |= indices
                self._session.board.drop.remote(number, tuple(indices))
            if wanted.nothing_left():
                running.cancel()
                raise WorkCancelledError
        try:
            return running.result()
        except concurrent.futures.CancelledError as error:
            raise OverloadedError("the server is stopping", _RETRY_SECONDS) from error

    # --- applications ---

    def _deploy(self, number: int, bundle: SharedBundle) -> "Application":
        from ray import serve

        from dragoman_server.ray_engine.replica import Replica
        from dragoman_server.ray_engine.replica_calls import Application

        name = self._session.application(number)
        family = self._settings.of_family(bundle.family)
        deployed: Any = serve.deployment(Replica)  # declared as the decorator that it may be, too
        deployment = deployed.options(
            name=f"{bundle.name}-{bundle.version}",
            **_options(family, local=self._settings.is_local),
        )
        niceness = IMAGE_NICENESS if bundle.family in IMAGE_FAMILIES else 0
        bound = deployment.bind(self._session.name, number, self._load, self._threads, niceness)
        target = serve.RunTarget(target=bound, name=name, route_prefix=None)
        (handle,) = serve.run_many([target], wait_for_applications_running=False)
        return Application(name=name, handle=handle)

    def _first_report(self, number: int, bundle: SharedBundle) -> Reply:
        """Raises `BundleError` where there is none in time, or never will be."""
        import ray
        from ray import serve

        report = self._session.board.first_report.remote(number)
        ends = time.monotonic() + self._settings.start_seconds
        while not ray.wait([report], timeout=_LOOK_SECONDS)[0]:
            about = serve.status().applications.get(self._session.application(number))
            if about is not None and about.status == "DEPLOY_FAILED":
                raise BundleError(bundle.path, f"no replica of it starts: {about.message}")
            if self._closed or time.monotonic() > ends:
                resources: Any = ray.available_resources
                free = resources().get("CPU", 0.0)
                table = self._settings.table(bundle.family)
                raise BundleError(
                    bundle.path,
                    f"no replica of it started within {self._settings.start_seconds:g} s, with "
                    f"{free:g} cores of the cluster free; add nodes, lower ray.{table}.cpus"
                    " or raise ray.start_seconds",
                )
        reply: Reply = ray.get(report)
        return reply

    def _delete_soon(self, number: int, bundle: SharedBundle) -> None:
        def delete() -> None:
            from ray import serve

            with suppress(Exception):  # Ray has ended, and all applications with it
                serve.delete(self._session.application(number), _blocking=False)
                self._session.board.remove.remote(number)
            os.close(bundle.descriptor)

        threading.Thread(target=delete, daemon=True).start()


async def _pump(application: "Application", join: Join, deliver: Callable[[Arrival], None]) -> None:
    """Deliver all that a replica draws; again from the beginning where one is lost."""
    from dragoman_server.ray_engine.replica_calls import ReplicaLostError, ended, steps

    for attempt in (1, 2):
        try:
            async for arrival in steps(application, join):
                deliver(arrival)
        except ReplicaLostError:
            deliver(Restarted() if attempt == 1 else Reply(error=ended()))
            continue
        except DragomanError as error:
            deliver(Reply(error=error))
        except Exception as error:
            _log.exception("a stream of a replica failed")
            deliver(Reply(error=error))
        deliver(Ended())
        return


def _options(family: RayFamily, *, local: bool) -> dict[str, Any]:
    """The options of a deployment."""
    scaled = family.autoscaling
    cpus = family.cpus if family.cpus is not None else (0.0 if local else 1.0)
    replicas: dict[str, Any] = {"num_replicas": family.replicas or 1}
    if scaled is not None:
        replicas = {
            "num_replicas": "auto",
            "autoscaling_config": {
                "min_replicas": scaled.min_replicas,
                "max_replicas": scaled.max_replicas,
                "target_ongoing_requests": scaled.target_ongoing_requests,
                "upscale_delay_s": scaled.upscale_delay_seconds,
                "downscale_delay_s": scaled.downscale_delay_seconds,
            },
        }
    return {
        **replicas,
        "max_ongoing_requests": family.max_ongoing_requests,
        "max_queued_requests": family.max_queued_requests,
        "ray_actor_options": {"num_cpus": cpus},
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": 10.0,
        "max_constructor_retry_count": 3,
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
    }


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
