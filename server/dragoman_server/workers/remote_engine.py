"""An engine of a language model in a worker process, stepped from here."""

import itertools
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dragoman_server.workers.messages import Close, DrawnToken, Join, Step
from dragoman_server.workers.worker_pool import WorkerPool

if TYPE_CHECKING:
    from dragoman_models.language_model.generation import GenerationEvent
    from dragoman_models.language_model.generation_options import FinishReason, GenerationOptions

_numbers = itertools.count(1)


class RemoteGeneration:
    """One continuation: what is known here of a `Generation` there."""

    def __init__(self, number: int, index: int) -> None:
        self.number = number
        self.index = index
        self.tokens: list[int] = []
        self.log_prob = 0.0
        self.finish_reason: FinishReason | None = None


class RemoteEngine:
    """Like `GenerationEngine`; for one thread, too. Raises `OverloadedError` when its process has
    ended, and its continuations with it."""

    def __init__(self, pool: WorkerPool, model: int, *, keep: object) -> None:
        """Args: keep: what keeps the model in the pool while there is a reference to it."""
        self._pool = pool
        self._model = model
        self._keep = keep
        self._slot, self._process = pool.engine_place(model)
        self._number = next(_numbers)
        self._open: dict[int, RemoteGeneration] = {}
        self._leaving: list[int] = []
        self._joined = 0
        request = Close(engine=self._number)
        weakref.finalize(self, pool.engine_left, self._slot, self._process, request).atexit = False

    @property
    def active(self) -> int:
        """Continuations that have joined and neither ended nor left."""
        return len(self._open)

    def join(
        self,
        prompt: str,
        options: "GenerationOptions",
        *,
        seed: int,
        samples: int = 1,
        tokens: Sequence[int] | None = None,
    ) -> list[RemoteGeneration]:
        """As `GenerationEngine.join`."""
        join = Join(
            model=self._model, engine=self._number, prompt=prompt, options=options, seed=seed,
            samples=samples, tokens=None if tokens is None else list(tokens),
        )  # fmt: skip
        self._ask(join)
        joined = [RemoteGeneration(self._joined + index, index) for index in range(samples)]
        self._joined += samples
        self._open.update((generation.number, generation) for generation in joined)
        return joined

    def leave(self, generation: Any) -> None:
        """As `GenerationEngine.leave`; the process hears of it with the next step."""
        if self._open.pop(generation.number, None) is not None:
            self._leaving.append(generation.number)

    def step(self) -> "list[GenerationEvent]":
        """As `GenerationEngine.step`."""
        leaving, self._leaving = self._leaving, []
        drawn: list[DrawnToken] = self._ask(Step(engine=self._number, leaving=leaving))
        return [self._event(token) for token in drawn]

    def _event(self, drawn: DrawnToken) -> "GenerationEvent":
        from dragoman_models.language_model.generation import GenerationEvent

        generation = self._open[drawn.number]
        generation.tokens.append(drawn.token)
        generation.log_prob += drawn.token_log_prob
        generation.finish_reason = drawn.finish_reason
        if drawn.finish_reason is not None:
            del self._open[drawn.number]
        return GenerationEvent(
            generation=generation,  # type: ignore[arg-type]
            text=drawn.text,
            token=drawn.token,
            token_log_prob=drawn.token_log_prob,
            finish_reason=drawn.finish_reason,
        )

    def _ask(self, request: Join | Step) -> Any:
        return self._pool.call_in(self._slot, self._process, request)
