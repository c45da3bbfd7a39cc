"""The worker process: models that do one thing after the other, until the server is gone."""

import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

from dragoman_models.errors import DragomanError
from dragoman_server.workers.messages import (
    Call,
    Cancel,
    Cancelling,
    Close,
    DrawnToken,
    Join,
    Load,
    Reply,
    Request,
    Step,
    Unload,
)

_LOOK_SECONDS = 0.001


def main() -> None:
    """Arguments: the number of the pipe's descriptor, and the niceness."""
    # Ctrl-C, and a SIGTERM for the whole group, are for the server, which drains first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # where memory is short, this process goes before the server does
        Path("/proc/self/oom_score_adj").write_text("500")
    WorkerMain(Connection(int(sys.argv[1])), niceness=int(sys.argv[2])).run()


class WorkerMain:
    """Answers requests, one after the other, in one thread. It hears of cancellations when the
    model asks for them, at its steps: a thread that listened would take the lock from it."""

    def __init__(self, connection: Connection, *, niceness: int = 0) -> None:
        """`niceness` holds from the first call on that somebody may give up: to load and warm up,
        others are not let ahead, since a server that starts waits for it."""
        self._connection = connection
        self._niceness = niceness
        self._cancelled: set[int] = set()
        self._arrived = select.poll()
        self._arrived.register(connection, select.POLLIN)
        self._looked_at = 0.0
        self._models: dict[int, Any] = {}
        self._engines: dict[int, _HostedEngine] = {}

    def run(self) -> None:
        """Until the server closes the pipe, or ends in whatever way."""
        try:
            self._connection.send(Reply())  # ready
            while True:
                request = self._received()
                if not isinstance(request, Cancel):  # of work that had ended when it came
                    self._connection.send(self._reply(request))
        except (EOFError, OSError):
            os._exit(0)

    def _received(self) -> Request | Cancel:
        message: Request | Cancel = self._connection.recv()
        if isinstance(message, Load):
            descriptor = recv_handle(self._connection)
            return replace(message, bundle=replace(message.bundle, descriptor=descriptor))
        return message

    def _is_cancelled(self, index: int) -> bool:
        """Whether an item of the present call is; looks every millisecond what the server says."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            try:
                while self._arrived.poll(0):
                    # Nothing else comes before the reply.
                    self._cancelled.update(self._connection.recv().indices)
            except (EOFError, OSError):
                os._exit(0)
        return index in self._cancelled

    def _reply(self, request: Request) -> Reply:
        try:
            return Reply(value=self._answer(request))
        except DragomanError as error:
            return Reply(error=error)
        except Exception:
            return Reply(traceback=traceback.format_exc())

    def _answer(self, request: Request) -> Any:
        match request:
            case Load():
                return self._load(request)
            case Unload():
                return self._unload(request)
            case Call():
                return self._call(request)
            case Join():
                if request.engine not in self._engines:
                    self._engines[request.engine] = _HostedEngine(self._models[request.model])
                return self._engines[request.engine].join(request)
            case Step():
                return self._engines[request.engine].step(request.leaving)
            case Close():
                return self._engines.pop(request.engine, None) and None

    def _load(self, request: Load) -> None:
        from dragoman_models.allocation import give_back_freed_memory
        from dragoman_server.served_families import SERVED_FAMILIES

        try:
            model = request.load(request.bundle)
        finally:
            os.close(request.bundle.descriptor)  # what is mapped stays mapped
        for family in SERVED_FAMILIES:
            if family.name == request.bundle.family:
                family.warm_up(model)
        self._models[request.model] = model
        give_back_freed_memory()

    def _unload(self, request: Unload) -> None:
        from dragoman_models.allocation import give_back_freed_memory

        self._models.pop(request.model, None)
        give_back_freed_memory()

    def _call(self, request: Call) -> Any:
        if self._niceness and request.cancelling is not Cancelling.NOT:
            os.nice(self._niceness)
            self._niceness = 0
        options = dict(request.options)
        self._cancelled = set(request.cancelled)
        if request.cancelling is Cancelling.WHOLE:
            options["cancelled"] = lambda: self._is_cancelled(0)
        elif request.cancelling is Cancelling.EACH:
            options["cancelled"] = self._is_cancelled
        model = self._models[request.model]
        if request.partners:
            model = model.ensemble_with([self._models[number] for number in request.partners])
        method = getattr(model, request.method)
        return method(*request.arguments, **options)


class _HostedEngine:
    """A language model's engine, whose continuations are known by number."""

    def __init__(self, model: Any) -> None:
        self._engine = model.engine()
        self._generations: dict[int, Any] = {}
        self._numbers: dict[Any, int] = {}
        self._joined = 0

    def join(self, request: Join) -> None:
        joined = self._engine.join(
            request.prompt, request.options, seed=request.seed, samples=request.samples,
            tokens=request.tokens,
        )  # fmt: skip
        for generation in joined:
            self._generations[self._joined] = generation
            self._numbers[generation] = self._joined
            self._joined += 1

    def step(self, leaving: Any) -> list[DrawnToken]:
        for number in leaving:
            if number in self._generations:
                self._engine.leave(self._generations[number])
                self._forget(number)
        drawn = []
        for event in self._engine.step():
            number = self._numbers[event.generation]
            drawn.append(
                DrawnToken(
                    number=number, text=event.text, token=event.token,
                    token_log_prob=event.token_log_prob, finish_reason=event.finish_reason,
                )
            )  # fmt: skip
            if event.finish_reason is not None:
                self._forget(number)
        return drawn

    def _forget(self, number: int) -> None:
        del self._numbers[self._generations.pop(number)]


if __name__ == "__main__":
    main()
