"""Health alone, in plaintext, on a port of its own: the probes of Kubernetes speak no TLS."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2_grpc

from dragoman_server.config import ServerSettings
from dragoman_server.health import ServerHealth
from dragoman_server.listening import listen

_log = logging.getLogger(__name__)


@asynccontextmanager
async def served_health(settings: ServerSettings, health: ServerHealth) -> AsyncIterator[None]:
    """Serves `health` at `health_address`, where one is set; no other call is answered there.

    Raises `StartupError` where the port cannot be opened.
    """
    if settings.health_address is None:
        yield
        return
    options = (("grpc.so_reuseport", 0), *settings.connections.channel_arguments())
    server = grpc.aio.server(options=options)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    _log.info("health is served at %s", listen(server, settings.health_address))
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
