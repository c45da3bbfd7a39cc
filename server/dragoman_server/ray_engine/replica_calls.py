"""Calls of a replica through Ray Serve, and what Ray's errors mean."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from dragoman_models.errors import DragomanError, OverloadedError
from dragoman_server.ray_engine.ray_engine import Steps
from dragoman_server.workers.messages import Call, Join, Reply

OUTAGE_SECONDS = 15.0  # that a call waits while there is no replica at all
RETRY_SECONDS = 1.0


class ReplicaLostError(DragomanError):
    """The replica ended before it had answered."""


def ended() -> OverloadedError:
    """What callers hear of whom two replicas were lost."""
    return OverloadedError("the replica that worked on this ended", RETRY_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Application:
    """The replicas of one model: their name in Ray Serve, and what calls them."""

    name: str
    handle: Any

    def has_replicas(self) -> bool:
        """Whether there is one now; it may be busy."""
        about = serve.status().applications.get(self.name)
        deployments = about.deployments.values() if about is not None else ()
        # Declared by members of an enumeration, and given by their names.
        states: list[Mapping[Any, int]] = [one.replica_states for one in deployments]
        return any(one.get("RUNNING", 0) for one in states)


async def answer(application: Application, number: str, request: Call) -> Reply:
    """What a replica answers to the call of this number; a task that is cancelled cancels it.

    Raises `ReplicaLostError`, and `OverloadedError` where there is no replica.
    """
    with _understood():
        response = application.handle.call.remote(number, request)
        try:
            reference = await _taken(application, response._to_object_ref())
            reply: Reply = await reference
        except BaseException:
            response.cancel()
            raise
        return reply


async def steps(application: Application, join: Join) -> AsyncIterator[Steps | Reply]:
    """What a replica draws, some steps at a time; cancelled when it is closed or its task is.

    Raises as `answer` does.
    """
    with _understood():
        response = application.handle.options(stream=True).generate.remote(join)
        try:
            await _taken(application, response._to_object_ref_gen())
            async for item in response:
                yield item
        finally:
            response.cancel()  # of one that has ended, nothing


async def _taken(application: Application, taking: Coroutine[Any, Any, Any]) -> Any:
    """Waits until a replica takes a call, as long as there is any; raises TimeoutError."""
    task = asyncio.ensure_future(taking)
    try:
        while not (await asyncio.wait([task], timeout=OUTAGE_SECONDS))[0]:
            if not await asyncio.to_thread(application.has_replicas):
                raise TimeoutError
        return await task
    finally:
        task.cancel()


@contextmanager
def _understood() -> Iterator[None]:
    """Raises our own errors where Ray has raised its own."""
    try:
        yield
    except BackPressureError as error:
        raise OverloadedError("too many calls wait for a replica", RETRY_SECONDS) from error
    except (DeploymentUnavailableError, TimeoutError) as error:
        raise OverloadedError("no replica is there", RETRY_SECONDS) from error
    except (
        ray.exceptions.RayActorError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.ObjectLostError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.NodeDiedError,
    ) as error:
        raise ReplicaLostError(str(error)) from error
