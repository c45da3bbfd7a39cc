"""A replica: one model, and one thread that computes all that is asked of it, in turn.

Ray Serve calls its methods in an event loop. Whatever is raised on purpose is an answer, since Ray
would wrap an exception.
"""

import asyncio
import os
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ray

from dragoman_models.bundle import Bundle
from dragoman_models.errors import DragomanError, OverloadedError
from dragoman_server.generation_loop import Drawing, GenerationLoop
from dragoman_server.ray_engine.board import NAMESPACE, Dropped, Notice
from dragoman_server.ray_engine.dropped_items import DroppedItems
from dragoman_server.ray_engine.stored_bundle import StoredBundle
from dragoman_server.workers.messages import Call, Cancelling, DrawnToken, Join, Reply

if TYPE_CHECKING:
    from dragoman_models.language_model.generation import GenerationEvent

_UNLIMITED = 1_000_000_000  # continuations: the front end counts them
_PATIENCE_SECONDS = 60.0  # three times what the board lets a request wait
_RETRY_SECONDS = 1.0


class Replica:
    """Belongs to Ray Serve, which makes it."""

    def __init__(
        self, board: str, model: int, load: Callable[[Bundle], object], threads: int, niceness: int
    ) -> None:
        """Args:
        board: the name of the front end's `Board`.
        model: its number there.
        load: what turns a bundle into a model.
        threads: that the arithmetic uses.
        niceness: by how much others go before the model, once it is loaded.
        """
        self._board: Any = ray.get_actor(board, namespace=NAMESPACE)
        self._load = load
        self._partners: dict[int, Any] = {}
        self._dropped = DroppedItems()
        self._compute = ThreadPoolExecutor(1, "model", _set_threads, (threads,))
        try:
            self._model: Any = self._compute.submit(self._loaded, model).result()
        except Exception as error:
            ray.get(self._board.report.remote(model, _as_reply(error)))
            raise
        self._compute.submit(os.nice, niceness).result()  # Linux: of this thread, which computes
        self._generation = GenerationLoop(_Computed(self._model, self._compute), _UNLIMITED)
        threading.Thread(target=self._listen, name="board", daemon=True).start()
        ray.get(self._board.report.remote(model, Reply()))

    async def call(self, number: str, request: Call) -> Reply:
        """What a method of the model gives."""
        dropped = self._dropped.of(number)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._compute, self._answer, request, dropped)
        except asyncio.CancelledError:
            dropped.add_all()
            raise
        finally:
            self._dropped.forget(number)

    async def generate(self, join: Join) -> "AsyncIterator[list[list[DrawnToken]] | Reply]":
        """The steps of continuations, as many at a time as have been drawn meanwhile; the last may
        be an error. Whoever goes away leaves the batch before its next step."""
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[list[GenerationEvent] | Exception] = asyncio.Queue()
        drawing = Drawing(
            prompt=join.prompt, tokens=join.tokens or (), options=join.options, seed=join.seed,
            samples=join.samples,
            deliver=lambda step: _soon(loop, steps.put_nowait, step),
        )  # fmt: skip
        self._generation.join(drawing)
        left = join.samples
        try:
            while left:
                drawn = [await steps.get()]
                while not steps.empty():
                    drawn.append(steps.get_nowait())
                answered: list[list[DrawnToken]] = []
                for step in drawn:
                    if isinstance(step, Exception):
                        yield answered
                        yield _as_reply(step)
                        return
                    answered.append([_drawn_token(event) for event in step])
                    left -= sum(event.finish_reason is not None for event in step)
                yield answered
        finally:
            self._generation.leave(drawing)

    def _answer(self, request: Call, dropped: Any) -> Reply:
        options = dict(request.options)
        if request.cancelling is Cancelling.WHOLE:
            options["cancelled"] = lambda: 0 in dropped
        elif request.cancelling is Cancelling.EACH:
            options["cancelled"] = dropped.__contains__
        dropped.update(request.cancelled)
        try:
            model = self._model
            if request.partners:
                model = model.ensemble_with([self._partner(one) for one in request.partners])
            method = getattr(model, request.method)
            return Reply(value=method(*request.arguments, **options))
        except Exception as error:
            return _as_reply(error)

    def _partner(self, number: int) -> Any:
        """Another translator, over the same weights as its own replicas on this machine."""
        if number not in self._partners:
            self._partners[number] = self._loaded(number)
        return self._partners[number]

    def _loaded(self, number: int) -> Any:
        from dragoman_models.allocation import give_back_freed_memory
        from dragoman_server.served_families import SERVED_FAMILIES

        reference: Any = ray.get(self._board.bundle.remote(number))
        if not reference:
            raise OverloadedError("the model has left the replicas", _RETRY_SECONDS)
        bundle: StoredBundle = ray.get(reference[0])
        model = self._load(bundle)
        for family in SERVED_FAMILIES:
            if family.name == bundle.family:
                family.warm_up(model)
        give_back_freed_memory()
        return model

    def _listen(self) -> None:
        """Follow the board until it is gone, and the front end with it."""
        seen = 0
        while True:
            waiting: Any = self._board.after.remote(seen)
            try:
                seen, notices = ray.get(waiting, timeout=_PATIENCE_SECONDS)
            except ray.exceptions.GetTimeoutError:
                continue
            except ray.exceptions.RayError:
                break
            for notice in notices:
                self._heed(notice)
        self._dropped.add_everything()
        _delete_own_application()

    def _heed(self, notice: Notice) -> None:
        if isinstance(notice, Dropped):
            self._dropped.note(notice.call, notice.indices)
        else:
            self._compute.submit(self._partners.pop, notice.model, None)


def _delete_own_application() -> None:
    from ray import serve

    with suppress(Exception):  # whatever it is, nobody is there to hear of it
        serve.delete(serve.get_replica_context().app_name, _blocking=False)


class _Computed:
    """A language model whose engines are stepped in the thread that computes."""

    def __init__(self, model: Any, compute: ThreadPoolExecutor) -> None:
        self._model = model
        self._compute = compute

    def engine(self) -> "_ComputedEngine":
        return _ComputedEngine(self._compute.submit(self._model.engine).result(), self._compute)


class _ComputedEngine:
    """Between two steps, the thread does what has been asked meanwhile."""

    def __init__(self, engine: Any, compute: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._compute = compute

    @property
    def active(self) -> int:
        return int(self._engine.active)

    def join(self, prompt: str, options: Any, **rest: Any) -> Sequence[Any]:
        joined: list[Any] = self._compute.submit(
            self._engine.join, prompt, options, **rest
        ).result()
        return joined

    def leave(self, generation: Any) -> None:
        self._engine.leave(generation)

    def step(self) -> "list[GenerationEvent]":
        events: list[GenerationEvent] = self._compute.submit(self._engine.step).result()
        return events


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _drawn_token(event: "GenerationEvent") -> DrawnToken:
    return DrawnToken(
        number=event.generation.index, text=event.text, token=event.token,
        token_log_prob=event.token_log_prob, finish_reason=event.finish_reason,
    )  # fmt: skip


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], argument: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: the replica is stopping
        loop.call_soon_threadsafe(function, argument)


def _as_reply(error: Exception) -> Reply:
    if isinstance(error, DragomanError):
        return Reply(error=error)
    return Reply(traceback="".join(traceback.format_exception(error)))
