"""Counts every call by method and status, and measures how long it took."""

import time

from dragoman_server.interceptors.call import Call
from dragoman_server.observability.metrics import ServerMetrics


class CallMetrics:
    """Tells the metrics of each call."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    def began(self, call: Call) -> None:
        """Count it among the calls in flight."""
        self._metrics.call_began()

    def ended(self, call: Call) -> None:
        """Count it by its status."""
        seconds = time.monotonic() - call.started
        self._metrics.call_ended(call.method, call.outcome(), seconds)
