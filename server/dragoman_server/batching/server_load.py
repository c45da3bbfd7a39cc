"""What all batchers of a server know of a call before it is read."""

from collections.abc import Sequence

from dragoman_server.batching.batcher import Batcher
from dragoman_server.caller import Caller


class ServerLoad:
    """Asks each of the batchers."""

    def __init__(self, batchers: Sequence[Batcher]) -> None:
        self._batchers = batchers

    def sheds(self, method: str) -> bool:
        """Whether some calls of the method are refused at present, whatever they hold."""
        return any(batcher.sheds(method) for batcher in self._batchers)

    def check(self, caller: Caller) -> None:
        """Raises `OverloadedError` where a call of that caller is one of them."""
        for batcher in self._batchers:
            batcher.check_load(caller)
