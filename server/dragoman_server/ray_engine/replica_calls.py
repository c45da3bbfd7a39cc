"""Calls of a replica through Ray Serve, and what Ray's errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from dragoman_models.errors import DragomanError, OverloadedError
from dragoman_server.workers.messages import Call, DrawnToken, Join, Reply

OUTAGE_SECONDS = 15.0  # that a call waits for a replica to take it
RETRY_SECONDS = 1.0


class ReplicaLostError(DragomanError):
    """The replica ended before it had answered."""


def ended() -> OverloadedError:
    """What callers hear of whom two replicas were lost."""
    return OverloadedError("the replica that worked on this ended", RETRY_SECONDS)


async def answer(handle: Any, number: str, request: Call) -> Reply:
    """What a replica answers to the call of this number; a task that is cancelled cancels it.

    Raises `ReplicaLostError`, and `OverloadedError` where no replica takes it.
    """
    with _understood():
        response = handle.call.remote(number, request)
        try:
            reference = await asyncio.wait_for(response._to_object_ref(), OUTAGE_SECONDS)
            reply: Reply = await reference
        except (TimeoutError, asyncio.CancelledError):
            response.cancel()
            raise
        return reply


async def steps(handle: Any, join: Join) -> AsyncIterator[list[list[DrawnToken]] | Reply]:
    """What a replica draws, some steps at a time; cancelled when it is closed or its task is.

    Raises as `answer` does.
    """
    with _understood():
        response = handle.options(stream=True).generate.remote(join)
        try:
            await asyncio.wait_for(response._to_object_ref_gen(), OUTAGE_SECONDS)
            async for item in response:
                yield item
        finally:
            response.cancel()  # of one that has ended, nothing


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
