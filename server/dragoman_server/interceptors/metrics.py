"""Counts every call by method and status, and measures how long it took."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dragoman_server.interceptors.access_log import outcome
from dragoman_server.interceptors.call_scope import CallScopeInterceptor, Context
from dragoman_server.observability.metrics import ServerMetrics


class MetricsInterceptor(CallScopeInterceptor):
    """Tells the metrics of each call."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    @asynccontextmanager
    async def scope(self, method: str, context: Context) -> AsyncIterator[None]:
        started = time.monotonic()
        self._metrics.call_began()
        gone = False
        try:
            yield
        except asyncio.CancelledError:
            gone = True
            raise
        finally:
            code = outcome(context, gone)
            self._metrics.call_ended(method, code, time.monotonic() - started)
