"""The port that Prometheus reads, apart from the calls'."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from dragoman_server.config import ServerSettings
from dragoman_server.errors import StartupError
from dragoman_server.observability.metrics import ServerMetrics
from dragoman_server.security.network import check_metrics_address

_log = logging.getLogger(__name__)


@contextmanager
def served_metrics(settings: ServerSettings) -> Iterator[ServerMetrics | None]:
    """Metrics that are served at `metrics_address` until the end; None where there is none.

    Raises `StartupError` where the port cannot be opened.
    """
    address = settings.metrics_address
    if address is None:
        yield None
        return
    check_metrics_address(address, allowed=settings.allow_metrics_on_network)
    host, _, port = address.rpartition(":")
    metrics = ServerMetrics()
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartupError(f"cannot serve metrics on {address}: {reason}") from error
    _log.info("metrics are served at http://%s:%d/metrics", host, server.server_port)
    try:
        yield metrics
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
