"""One thread that draws the tokens of all of a model's continuations, while there are any.

Continuations join and leave between two steps of the engine. What a step brings is delivered at
once, from this thread.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dragoman_models.errors import OverloadedError

if TYPE_CHECKING:
    from dragoman_models.language_model.generation import GenerationEvent
    from dragoman_models.language_model.generation_options import GenerationOptions

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class LostContinuation:
    """What a step brought to a continuation that ended, where others did not: an error."""

    generation: Any
    error: Exception


class ContinuationEngine(Protocol):
    """A batch of continuations, for one thread: `GenerationEngine`, or one that is elsewhere."""

    @property
    def active(self) -> int:
        """Continuations that have joined and neither ended nor left."""
        ...

    def join(
        self, prompt: str, options: "GenerationOptions", *, seed: int, samples: int = 1,
        tokens: Sequence[int] | None = None,
    ) -> Sequence[Any]:  # fmt: skip
        """As `GenerationEngine.join`."""
        ...

    def leave(self, generation: Any) -> None:
        """As `GenerationEngine.leave`."""
        ...

    def step(self) -> "Sequence[GenerationEvent | LostContinuation]":
        """As `GenerationEngine.step`: at most one event for each continuation."""
        ...


class DrawingModel(Protocol):
    """All that the loop needs of a language model."""

    def engine(self) -> ContinuationEngine: ...


@dataclass(kw_only=True, eq=False)
class Drawing:
    """What is to be drawn, and whom to tell. `deliver` is called from the loop's thread with the
    events of a step, or with the error that ended everything."""

    prompt: str
    tokens: Sequence[int]
    options: "GenerationOptions"
    seed: int
    samples: int
    deliver: "Callable[[list[GenerationEvent] | Exception], None]"
    generations: Sequence[Any] = field(default_factory=list)


class GenerationLoop:
    """The continuations of one model. Safe to use from any thread."""

    def __init__(self, model: DrawingModel, most_samples: int) -> None:
        self._model = model
        self._most_samples = most_samples
        self._lock = threading.Lock()
        self._open: set[Drawing] = set()
        self._joining: list[Drawing] = []
        self._leaving: list[Drawing] = []
        self._running = False

    @property
    def samples(self) -> int:
        """Continuations that have been taken on and have neither ended nor left."""
        return sum(drawing.samples for drawing in self._open)

    def join(self, drawing: Drawing) -> None:
        """Takes on what is to be drawn; raises `OverloadedError` where that is too much."""
        with self._lock:
            if self.samples + drawing.samples > self._most_samples:
                raise OverloadedError(
                    f"this model draws at most {self._most_samples} continuations at the same time",
                    _RETRY_SECONDS,
                )
            self._open.add(drawing)
            self._joining.append(drawing)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="generation", daemon=True).start()

    def leave(self, drawing: Drawing) -> None:
        """Ends a drawing before the next step; nothing happens where it has ended."""
        with self._lock:
            if drawing in self._open:
                self._open.discard(drawing)
                self._leaving.append(drawing)

    def _run(self) -> None:
        try:
            engine = self._model.engine()
            while self._admit(engine):
                self._deliver(engine.step())
        except Exception as error:  # every caller must hear of it, whatever it is
            self._fail(error)

    def _admit(self, engine: ContinuationEngine) -> bool:
        """Lets drawings leave and join; whether there is anything to do then."""
        with self._lock:
            leaving, self._leaving = self._leaving, []
            joining, self._joining = self._joining, []
            for drawing in leaving:
                for generation in drawing.generations:
                    engine.leave(generation)
            for drawing in joining:
                if drawing in self._open:
                    drawing.generations = engine.join(
                        drawing.prompt,
                        drawing.options,
                        seed=drawing.seed,
                        samples=drawing.samples,
                        tokens=drawing.tokens,
                    )
            self._running = engine.active > 0
            return self._running

    def _deliver(self, events: "Sequence[GenerationEvent | LostContinuation]") -> None:
        by_generation = {event.generation: event for event in events}
        with self._lock:
            waiting = list(self._open)
        for drawing in waiting:
            found: list[GenerationEvent] = []
            lost: Exception | None = None
            for generation in drawing.generations:
                event = by_generation.get(generation)
                if isinstance(event, LostContinuation):
                    lost = event.error
                elif event is not None:
                    found.append(event)
            if lost is not None:
                self.leave(drawing)
                drawing.deliver(lost)
                continue
            if not found:
                continue
            if all(generation.finish_reason is not None for generation in drawing.generations):
                with self._lock:
                    self._open.discard(drawing)
            drawing.deliver(found)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            failed, self._open = self._open, set()
            self._joining, self._leaving = [], []
            self._running = False
        for drawing in failed:
            drawing.deliver(error)
