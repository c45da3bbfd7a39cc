"""What clients can hold of the server: as settings, and as gRPC's channel arguments."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Many = Annotated[int, Field(ge=1, le=1_000_000)]
SomeSeconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]

_NEVER_MS = 2**31 - 1  # what gRPC takes for no limit


class ConnectionLimits(BaseModel):
    """Limits on connections and streams. What is over them is closed or refused by gRPC itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: Many = Field(default=2_000, description="open at the same time; more are closed")
    concurrent_streams: Many = Field(
        default=1_000, description="calls at the same time on one connection; more wait there"
    )
    handshake_seconds: SomeSeconds = Field(
        default=10.0, description="for TLS and HTTP/2 to begin; slower connections are closed"
    )
    idle_seconds: SomeSeconds = Field(
        default=900.0, description="after which a connection without calls is closed"
    )
    age_seconds: SomeSeconds | None = Field(
        default=None,
        description="after which a connection takes no more calls, so that clients find new "
        "servers behind a balancer; without it, never",
    )
    keepalive_seconds: SomeSeconds = Field(
        default=60.0, description="of silence, after which the server asks whether anybody is there"
    )
    keepalive_timeout_seconds: SomeSeconds = Field(
        default=20.0, description="for the answer to that; then the connection is closed"
    )
    ping_seconds: SomeSeconds = Field(
        default=10.0, description="at least between two pings of a client without calls"
    )
    ping_strikes: Many = Field(
        default=2, description="pings that may come sooner; then the connection is closed"
    )
    metadata_bytes: Annotated[int, Field(ge=1_024, le=1024 * 1024)] = Field(
        default=16 * 1024, description="of a call's metadata"
    )

    def channel_arguments(self) -> tuple[tuple[str, int], ...]:
        """The limits as a gRPC server takes them."""
        return (
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.concurrent_streams),
            ("grpc.server_handshake_timeout_ms", _milliseconds(self.handshake_seconds)),
            ("grpc.max_connection_idle_ms", _milliseconds(self.idle_seconds)),
            ("grpc.max_connection_age_ms", _milliseconds(self.age_seconds)),
            ("grpc.keepalive_time_ms", _milliseconds(self.keepalive_seconds)),
            ("grpc.keepalive_timeout_ms", _milliseconds(self.keepalive_timeout_seconds)),
            ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(self.ping_seconds)),
            ("grpc.http2.max_ping_strikes", self.ping_strikes),
            ("grpc.max_metadata_size", self.metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
        )


def _milliseconds(seconds: float | None) -> int:
    return _NEVER_MS if seconds is None else max(1, round(seconds * 1_000))
