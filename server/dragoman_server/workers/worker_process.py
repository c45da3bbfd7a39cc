"""One worker process, as the server sees it: a request at a time, which it may cancel."""

import logging
import os
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

from dragoman_models.errors import DragomanError, WorkCancelledError
from dragoman_server.thread_variables import THREAD_VARIABLES
from dragoman_server.workers.messages import Call, Cancel, Load, Reply, Request
from dragoman_server.workers.wanted import Wanted

_START_SECONDS = 120.0
_LOAD_SECONDS = 300.0
_LONGEST_SECONDS = 60.0  # for a request that nobody can cancel
_STUCK_SECONDS = 30.0  # that a message may need to get through, or the work to stop when told to
# Between two looks whether the callers still want an answer: about a decoding step, which takes the
# longer the more items there are, as does the look.
_POLL_SECONDS, _POLL_SECONDS_AN_ITEM = 0.002, 0.0001
_log = logging.getLogger(__name__)


class WorkerLostError(DragomanError):
    """The process ended, or does not answer any more, before it had replied."""


class WorkerProcess:
    """For one thread at a time, but for `kill`, which is safe to call from any."""

    def __init__(self, threads: int, *, niceness: int = 0) -> None:
        """Start it; it is of use once `wait_until_ready` has returned.

        Args:
        threads: that its arithmetic uses.
        niceness: by how much others go before it where the processors are busy; 0: nobody does.
        """
        self.lost = False
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    "-c",
                    "from dragoman_server.workers.worker_main import main; main()",
                    str(theirs.fileno()),
                    str(niceness),
                ],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
                pass_fds=[theirs.fileno()],
            )
        limit = struct.pack("@ll", int(_STUCK_SECONDS), 0)
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, limit)
        self._connection = Connection(ours.detach())
        self._readable = select.poll()  # kept: `Connection.poll` makes a selector each time
        self._readable.register(self._connection, select.POLLIN)

    def wait_until_ready(self) -> None:
        """Raises `WorkerLostError` where it does not start."""
        self._wait(time.monotonic() + _START_SECONDS)
        self._received()

    def request(self, request: Request, wanted: Wanted | None = None) -> Any:
        """What it answers.

        Raises its domain error, RuntimeError for any other of its errors, `WorkCancelledError`
        where nothing is wanted any more and it does not stop, and `WorkerLostError`; after the last
        two it is `lost`.
        """
        if wanted is not None and isinstance(request, Call):
            request = replace(request, cancelled=wanted.cancelled())
        try:
            self._connection.send(request)
            if isinstance(request, Load):
                send_handle(self._connection, request.bundle.descriptor, self.process.pid)
        except OSError as error:
            raise self._lose(repr(error)) from error
        if wanted is None:
            limit = _LOAD_SECONDS if isinstance(request, Load) else _LONGEST_SECONDS
            self._wait(time.monotonic() + limit)
        else:
            self._wait_while_wanted(wanted)
        reply = self._received()
        if reply.error is not None:
            raise reply.error
        if reply.traceback:
            raise RuntimeError(f"in a worker process:\n{reply.traceback}")
        return reply.value

    def kill(self) -> None:
        """End it at once."""
        self.lost = True
        self.process.kill()

    def forget(self) -> None:
        """Close the pipe of a process that has ended and that nobody uses."""
        self._connection.close()

    def _wait(self, deadline: float) -> None:
        if not self._arrived(max(0.0, deadline - time.monotonic())):
            raise self._lose("it does not answer")

    def _wait_while_wanted(self, wanted: Wanted) -> None:
        """Until there is a reply; tells the process what is not wanted any more."""
        told: frozenset[int] = frozenset()
        stuck_at = None
        poll_seconds = _POLL_SECONDS + wanted.count * _POLL_SECONDS_AN_ITEM
        while not self._arrived(poll_seconds):
            cancelled = wanted.cancelled()
            if indices := cancelled - told:
                told = cancelled
                try:
                    self._connection.send(Cancel(indices=sorted(indices)))
                except OSError as error:
                    raise self._lose(repr(error)) from error
            if wanted.nothing_left():
                stuck_at = stuck_at or time.monotonic() + _STUCK_SECONDS
                if time.monotonic() > stuck_at:
                    self._lose("it does not stop")
                    raise WorkCancelledError

    def _arrived(self, seconds: float) -> bool:
        try:
            return bool(self._readable.poll(seconds * 1_000))
        except OSError as error:
            raise self._lose(repr(error)) from error

    def _received(self) -> Reply:
        try:
            reply: Reply = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._lose(repr(error)) from error
        return reply

    def _lose(self, reason: str) -> WorkerLostError:
        _log.error("worker process %d is lost: %s", self.process.pid, reason)
        self.kill()
        return WorkerLostError(f"worker process {self.process.pid} is lost")
