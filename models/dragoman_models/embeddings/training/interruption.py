"""Ctrl-C at a moment of our choosing: between two chunks, when all weights are in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class DeferredInterrupt:
    """Within the block, the first Ctrl-C waits for `check`; a second one interrupts at once."""

    def __enter__(self) -> DeferredInterrupt:
        self._asked = False
        # Signals are the main thread's business; elsewhere there is nothing to wait for.
        self._is_main = threading.current_thread() is threading.main_thread()
        self._before: Any = signal.getsignal(signal.SIGINT)
        if self._is_main:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def check(self) -> None:
        """Raises KeyboardInterrupt where Ctrl-C was pressed."""
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._restore()

    def _restore(self) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._before)
