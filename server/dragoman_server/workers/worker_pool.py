"""The worker processes: which is free, which is to be started again, and what each has loaded."""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError, DragomanError, OverloadedError, WorkCancelledError
from dragoman_models.registry import load_model
from dragoman_server.workers.messages import Load, Request, Unload
from dragoman_server.workers.shared_bundle import SharedBundle
from dragoman_server.workers.wanted import Wanted
from dragoman_server.workers.worker_process import WorkerLostError, WorkerProcess

if TYPE_CHECKING:
    from dragoman_server.workers.remote_engine import RemoteEngine

_RETRY_SECONDS = 1.0
_OUTAGE_SECONDS = 15.0  # that a call waits while there is no process at all
_START_SECONDS = 120.0  # that a load does
_WAIT_SECONDS = 0.02  # between two looks whether a waiting call is still wanted
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 30.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Slot:
    """The place of one process; `process` is None while there is none."""

    number: int
    process: WorkerProcess | None = None
    busy: bool = False
    engines: int = 0  # of language models, which live longer than a call
    loaded: set[int] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A model, and in how many of the slots, from the first, it is."""

    bundle: SharedBundle
    slots: int


class WorkerPool:
    """Safe to use from any thread. Processes start with the first model that is added."""

    def __init__(
        self,
        size: int,
        *,
        threads: int = 1,
        load: Callable[[Bundle], object] = load_model,
        niceness: int = 0,
    ) -> None:
        """Args:
        threads: that the arithmetic of one process uses.
        load: what processes load a bundle by.
        niceness: by how much others go before the processes where the processors are busy.
        """
        self._threads = threads
        self._niceness = niceness
        self._load_bundle = load
        self._slots = [Slot(number) for number in range(size)]
        self._models: dict[int, _Placed] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._started = False
        self._closed = False

    @property
    def size(self) -> int:
        """How many processes there are when all is well."""
        return len(self._slots)

    def process_ids(self) -> list[int]:
        """Of the processes that are ready now."""
        with self._changed:
            return [slot.process.process.pid for slot in self._slots if slot.process is not None]

    def add(self, bundle: SharedBundle, slots: int) -> int:
        """Load a model into the first `slots` processes; the number by which calls name it. The
        pool closes the bundle's descriptor in the end.

        Raises what loading it raises, and `BundleError` where a process did not survive it.
        """
        self._start()
        number = next(self._numbers)
        try:
            self._load(self._slots[0], number, bundle)
        except (WorkerLostError, OverloadedError) as error:
            self._unload_soon(number, bundle, slots)
            raise BundleError(bundle.path, f"the process that loaded it ended: {error}") from error
        except BaseException:
            self._unload_soon(number, bundle, slots)
            raise
        # Only what a process has survived is what processes load when they start.
        with self._changed:
            self._models[number] = _Placed(bundle=bundle, slots=slots)
        for slot in self._slots[:slots]:
            with suppress(WorkerLostError, OverloadedError):
                self._load(slot, number, bundle)
        return number

    def remove(self, number: int) -> None:
        """Have all processes forget a model, each when it is free; returns at once."""
        with self._changed:
            placed = self._models.pop(number, None)
        if placed is not None:
            self._unload_soon(number, placed.bundle, placed.slots)

    def call(self, model: int, request: Request, wanted: Wanted | None = None) -> Any:
        """What a process that has the model answers; asked once more where the first one is lost.

        Raises what the request raises, `WorkCancelledError`, and `OverloadedError` where processes
        are lost.
        """
        for attempt in (1, 2):
            try:
                with self._taken(self._slots_of(model), wanted) as process:
                    return process.request(request, wanted)
            except WorkerLostError as error:
                if attempt == 2:
                    raise _ended() from error
        raise AssertionError("unreachable")

    def start(self) -> None:
        """Nothing is needed before the first model."""

    def engine(self, model: int, *, keep: object) -> "RemoteEngine":
        """An engine of the model in one of its processes."""
        from dragoman_server.workers.remote_engine import RemoteEngine

        return RemoteEngine(self, model, keep=keep)

    def call_in(self, slot: Slot, process: WorkerProcess, request: Request) -> Any:
        """What this very process answers; raises `OverloadedError` where it is lost."""
        try:
            with self._taken([slot], None, only=process):
                return process.request(request)
        except WorkerLostError as error:
            raise _ended() from error

    def engine_place(self, model: int) -> tuple[Slot, WorkerProcess]:
        """Where an engine of the model should live: where the fewest do."""
        with self._changed:
            slots = [slot for slot in self._slots_of(model) if slot.process is not None]
            if not slots:
                raise _ended()
            slot = min(slots, key=lambda one: one.engines)
            process = slot.process
            if process is None:  # what the type checker cannot see
                raise _ended()
            slot.engines += 1
            return slot, process

    def engine_left(self, slot: Slot, process: WorkerProcess, request: Request) -> None:
        """Give up the place of an engine, with `request` to have it forgotten; returns at once."""
        with self._changed:
            slot.engines -= 1

        def forget() -> None:
            with suppress(DragomanError):
                self.call_in(slot, process, request)

        threading.Thread(target=forget, daemon=True).start()

    def close(self) -> None:
        """Kill all processes and start no more."""
        with self._changed:
            self._closed = True
            processes = [slot.process for slot in self._slots if slot.process is not None]
            for process in processes:
                process.kill()
            self._changed.notify_all()
        for process in processes:
            process.process.wait()

    # --- taking a process ---

    def _slots_of(self, model: int) -> list[Slot]:
        with self._changed:
            placed = self._models.get(model)
        if placed is None:
            raise OverloadedError("the model has left the worker processes", _RETRY_SECONDS)
        return self._slots[: placed.slots]

    @contextmanager
    def _taken(
        self,
        slots: Sequence[Slot],
        wanted: Wanted | None,
        *,
        only: WorkerProcess | None = None,
        patience: float = _OUTAGE_SECONDS,
    ) -> Iterator[WorkerProcess]:
        """The process of one of the slots, for whoever enters alone."""
        slot, process = self._wait_for(slots, wanted, only, patience)
        try:
            yield process
        finally:
            with self._changed:
                slot.busy = False
                self._changed.notify_all()
            if process.lost:
                self._replace(slot, process)

    def _wait_for(
        self,
        slots: Sequence[Slot],
        wanted: Wanted | None,
        only: WorkerProcess | None,
        patience: float,
    ) -> tuple[Slot, WorkerProcess]:
        outage_ends = time.monotonic() + patience
        with self._changed:
            while not self._closed:
                if only is not None and slots[0].process is not only:
                    raise WorkerLostError("the process has ended")
                for slot in slots:
                    if slot.process is not None and not slot.busy:
                        slot.busy = True
                        return slot, slot.process
                if wanted is not None and wanted.nothing():
                    raise WorkCancelledError
                alive = any(slot.process is not None for slot in slots)
                if not alive and time.monotonic() > outage_ends:
                    raise OverloadedError("no worker process is there", _RETRY_SECONDS)
                self._changed.wait(_WAIT_SECONDS)
        raise OverloadedError("the server is stopping", _RETRY_SECONDS)

    # --- models ---

    def _load(self, slot: Slot, number: int, bundle: SharedBundle) -> None:
        with self._taken([slot], None, patience=_START_SECONDS) as process:
            if number not in slot.loaded:
                process.request(Load(model=number, bundle=bundle, load=self._load_bundle))
                slot.loaded.add(number)

    def _unload_soon(self, number: int, bundle: SharedBundle, slots: int) -> None:
        def unload() -> None:
            for slot in self._slots[:slots]:
                with suppress(DragomanError), self._taken([slot], None) as process:
                    if number in slot.loaded:
                        slot.loaded.discard(number)
                        process.request(Unload(model=number))
            os.close(bundle.descriptor)

        threading.Thread(target=unload, daemon=True).start()

    # --- processes ---

    def _start(self) -> None:
        with self._changed:
            if self._started:
                return
            self._started = True
        for slot in self._slots:
            threading.Thread(target=self._restart, args=(slot,), daemon=True).start()

    def _replace(self, slot: Slot, process: WorkerProcess) -> None:
        """Start another process in the place of one that has ended; whoever notices first does."""
        with self._changed:
            if slot.process is not process:
                return
            slot.process = None
            self._changed.notify_all()
        if not self._closed:
            _log.warning("worker process %d is started again", process.process.pid)
            threading.Thread(target=self._restart, args=(slot,), daemon=True).start()

    def _restart(self, slot: Slot) -> None:
        """Start a process in the slot, wait until it ends, and have another take its place."""
        backoff = _FIRST_BACKOFF
        while not self._closed:
            process = WorkerProcess(self._threads, niceness=self._niceness)
            try:
                process.wait_until_ready()
                self._load_all(slot, process)
            except Exception as error:
                # One that ended meanwhile has been killed, or has said why itself.
                defect = None if isinstance(error, WorkerLostError) else error
                pid = process.process.pid
                _log.error("worker process %d did not start: %s", pid, error, exc_info=defect)
                process.kill()
                time.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
                continue
            process.process.wait()
            self._replace(slot, process)
            return

    def _load_all(self, slot: Slot, process: WorkerProcess) -> None:
        """Load what all processes of the slot have to, and put the process there."""
        loaded: set[int] = set()
        while True:
            with self._changed:
                missing = [
                    number
                    for number, placed in sorted(self._models.items())
                    if number not in loaded and slot.number < placed.slots
                ]
                if not missing:
                    slot.process, slot.loaded = process, loaded
                    if self._closed:
                        process.kill()
                    self._changed.notify_all()
                    return
                bundle = self._models[missing[0]].bundle
                bundle = replace(bundle, descriptor=os.dup(bundle.descriptor))
            try:  # it may be removed meanwhile; the descriptor is our own
                process.request(Load(model=missing[0], bundle=bundle, load=self._load_bundle))
            finally:
                os.close(bundle.descriptor)
            loaded.add(missing[0])


def _ended() -> OverloadedError:
    return OverloadedError("the process that worked on this ended", _RETRY_SECONDS)
