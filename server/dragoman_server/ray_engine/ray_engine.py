"""A batch of continuations that replicas draw: each joins wherever Ray Serve sends it."""

import queue
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dragoman_server.generation_loop import LostContinuation
from dragoman_server.workers.messages import DrawnToken, Join, Reply
from dragoman_server.workers.remote_engine import RemoteGeneration

if TYPE_CHECKING:
    from dragoman_models.language_model.generation import GenerationEvent
    from dragoman_models.language_model.generation_options import GenerationOptions

_STEP_SECONDS = 0.02  # that a step waits for a token, before others may join and leave

Steps = list[list[DrawnToken]]


class Restarted:
    """Another replica draws everything again from the beginning."""


class Ended:
    """A replica has nothing more to say."""


Arrival = Steps | Reply | Restarted | Ended
# Opens a stream that delivers what arrives, from another thread; what closes it.
OpenStream = Callable[[Join, Callable[[Arrival], None]], Callable[[], None]]


class _Stream:
    """The continuations of one join, which one replica draws."""

    def __init__(self, generations: Sequence[RemoteGeneration]) -> None:
        self.open = {generation.index: generation for generation in generations}
        self.steps: deque[list[DrawnToken]] = deque()
        self.again: dict[int, int] = {}  # tokens that come once more, by index
        self.ended = False
        self.close: Callable[[], None] = lambda: None

    def restart(self) -> None:
        """From now on everything comes once more."""
        self.steps.clear()
        self.again = {index: len(one.tokens) for index, one in self.open.items()}

    def next_step(self) -> list[DrawnToken]:
        """The tokens of the oldest step that have not been there before."""
        fresh = []
        for token in self.steps.popleft():
            if self.again.get(token.number, 0):
                self.again[token.number] -= 1
            elif token.number in self.open:
                fresh.append(token)
        return fresh


class RayEngine:
    """Like `GenerationEngine`, for one thread. What one seed draws is the same on every replica, so
    a stream whose replica is lost goes on where it was."""

    def __init__(self, open_stream: OpenStream, *, keep: object) -> None:
        """Args: keep: what keeps the model in the pool while there is a reference to it."""
        self._open_stream = open_stream
        self._keep = keep
        self._streams: dict[int, _Stream] = {}
        self._stream_of: dict[RemoteGeneration, int] = {}
        self._arrived: queue.SimpleQueue[tuple[int, Arrival]] = queue.SimpleQueue()
        self._joined = 0
        weakref.finalize(self, _close_all, self._streams).atexit = False

    @property
    def active(self) -> int:
        """Continuations that have joined and neither ended nor left."""
        return len(self._stream_of)

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
        number = self._joined
        self._joined += samples
        joined = [RemoteGeneration(number + index, index) for index in range(samples)]
        stream = self._streams[number] = _Stream(joined)
        self._stream_of.update((generation, number) for generation in joined)
        join = Join(
            model=0, engine=0, prompt=prompt, options=options, seed=seed, samples=samples,
            tokens=None if tokens is None else list(tokens),
        )  # fmt: skip
        arrived = self._arrived  # not self, which may go meanwhile
        stream.close = self._open_stream(join, lambda arrival: arrived.put((number, arrival)))
        return joined

    def leave(self, generation: Any) -> None:
        """As `GenerationEngine.leave`; the replica goes on with it while others of its join stay,
        who are drawn by the same seed."""
        number = self._stream_of.pop(generation, None)
        if number is not None:
            self._gone(number, generation)

    def step(self) -> "list[GenerationEvent | LostContinuation]":
        """As `GenerationEngine.step`, for whoever has got a token; waits but a moment for one."""
        events: list[GenerationEvent | LostContinuation] = []
        ready = any(stream.steps for stream in self._streams.values())
        while True:
            try:
                number, arrival = self._arrived.get(not ready, _STEP_SECONDS)
            except queue.Empty:
                break
            ready = True
            events += self._taken(number, arrival)
        for number, stream in list(self._streams.items()):
            if stream.steps:
                events += [self._event(number, token) for token in stream.next_step()]
            elif stream.ended:
                error = RuntimeError("a replica left continuations unfinished")
                events += self._lost(number, error)
        return events

    def _taken(self, number: int, arrival: Arrival) -> list[LostContinuation]:
        stream = self._streams.get(number)
        if stream is None:  # they have all left
            return []
        if isinstance(arrival, list):
            stream.steps.extend(step for step in arrival if step)
        elif isinstance(arrival, Restarted):
            stream.restart()
        elif isinstance(arrival, Reply):
            return self._lost(number, _error_of(arrival))
        else:
            stream.ended = True
        return []

    def _lost(self, number: int, error: Exception) -> list[LostContinuation]:
        generations = list(self._streams[number].open.values())
        for generation in generations:
            self.leave(generation)
        return [LostContinuation(generation=one, error=error) for one in generations]

    def _event(self, number: int, drawn: DrawnToken) -> "GenerationEvent":
        from dragoman_models.language_model.generation import GenerationEvent

        generation = self._streams[number].open[drawn.number]
        generation.tokens.append(drawn.token)
        generation.log_prob += drawn.token_log_prob
        generation.finish_reason = drawn.finish_reason
        if drawn.finish_reason is not None:
            self.leave(generation)
        return GenerationEvent(
            generation=generation,  # type: ignore[arg-type]
            text=drawn.text,
            token=drawn.token,
            token_log_prob=drawn.token_log_prob,
            finish_reason=drawn.finish_reason,
        )

    def _gone(self, number: int, generation: RemoteGeneration) -> None:
        stream = self._streams[number]
        stream.open.pop(generation.index, None)
        if not stream.open:
            del self._streams[number]
            stream.close()


def _error_of(reply: Reply) -> Exception:
    if reply.error is not None:
        return reply.error
    return RuntimeError(f"in a replica:\n{reply.traceback}")


def _close_all(streams: dict[int, _Stream]) -> None:
    for stream in streams.values():
        stream.close()
