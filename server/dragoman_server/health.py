"""What grpc.health.v1 says: SERVING only for what is warm, and for nothing while draining."""

from collections.abc import Iterable

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

OVERALL = ""  # the name under which the health of the server as a whole is asked for


class ServerHealth:
    """The health of the server and of each of its services, by full name."""

    def __init__(self, services: Iterable[str]) -> None:
        self.servicer = health.aio.HealthServicer()
        self._services = tuple(services)

    async def start(self) -> None:
        """Nothing serves yet."""
        for name in (OVERALL, *self._services):
            await self.servicer.set(name, HealthCheckResponse.NOT_SERVING)

    async def set_serving(self, names: Iterable[str]) -> None:
        """These serve from now on."""
        for name in names:
            await self.servicer.set(name, HealthCheckResponse.SERVING)

    async def set_not_serving(self, names: Iterable[str]) -> None:
        """These do not serve for now."""
        for name in names:
            await self.servicer.set(name, HealthCheckResponse.NOT_SERVING)

    async def drain(self) -> None:
        """Nothing serves any more, whatever is set later; watchers are told."""
        await self.servicer.enter_graceful_shutdown()
