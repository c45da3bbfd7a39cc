"""Traces by OpenTelemetry's own gRPC instrumentation, an optional extra.

Where spans go, and how many, is set by OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from dragoman_server.errors import ConfigError

_QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/grpc.channelz.")


@contextmanager
def traced(wanted: bool, exporter: Any = None) -> Iterator[grpc.aio.ServerInterceptor | None]:
    """An interceptor that makes a span of each call, sent off by the end; None where unwanted.

    It must be the first of all: it makes a handler anew for each call. `exporter` is a
    `SpanExporter`; without one, OTLP over gRPC. Raises `ConfigError` without the extra `tracing`.
    """
    if not wanted:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.grpc import aio_server_interceptor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"traces: needs the package {error.name}: pip install 'dragoman[tracing]'"
        ) from error
    # OTEL_SERVICE_NAME wins over the name here.
    provider = TracerProvider(resource=Resource.create({"service.name": "dragoman"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    try:
        make: Any = aio_server_interceptor  # it has no types
        yield make(tracer_provider=provider, filter_=_is_traced)
    finally:
        provider.shutdown()


def _is_traced(details: grpc.HandlerCallDetails) -> bool:
    return not details.method.startswith(_QUIET)
