"""What stands between the models that services see and the processes that compute."""

from typing import TYPE_CHECKING, Any, Protocol

from dragoman_server.workers.messages import Call
from dragoman_server.workers.shared_bundle import SharedBundle
from dragoman_server.workers.wanted import Wanted

if TYPE_CHECKING:
    from dragoman_server.generation_loop import ContinuationEngine


class ModelPool(Protocol):
    """Safe to use from any thread."""

    def start(self) -> None:
        """Whatever must be there before the first model; raises `StartupError`."""
        ...

    def process_ids(self) -> list[int]:
        """Of the processes on this machine that are ready now."""
        ...

    def add(self, bundle: SharedBundle, count: int) -> int:
        """Load a model into so many processes; the number by which calls name it. The pool closes
        the bundle's descriptor in the end.

        Raises what loading it raises, and `BundleError` where a process did not survive it.
        """
        ...

    def remove(self, number: int) -> None:
        """Have all processes forget a model; returns at once."""
        ...

    def call(self, model: int, request: Call, wanted: Wanted | None = None) -> Any:
        """What a process that has the model answers; asked once more where the first one is lost.

        Raises what the request raises, `WorkCancelledError`, and `OverloadedError` where processes
        are lost.
        """
        ...

    def engine(self, model: int, *, keep: object) -> "ContinuationEngine":
        """An empty batch of continuations; `keep` is what keeps the model in the pool."""
        ...

    def close(self) -> None:
        """End all processes and start no more."""
        ...
