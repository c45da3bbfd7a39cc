"""Metrics and traces: that they count what happened, and that nothing is served unasked."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from dragoman.v1 import embedding_service_pb2, model_service_pb2, translation_service_pb2
from dragoman_server.config import ServerSettings
from dragoman_server.errors import ConfigError, StartupError
from dragoman_server.observability.metrics import ServerMetrics
from dragoman_server.observability.metrics_port import served_metrics
from dragoman_server.observability.tracing import traced

if TYPE_CHECKING:
    from tests.server.conftest import ServerFactory

TRANSLATE = "/dragoman.v1.TranslationService/Translate"
DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json"


def request_for(*texts: str) -> translation_service_pb2.TranslateRequest:
    source = translation_service_pb2.TranslationSource
    return translation_service_pb2.TranslateRequest(sources=[source(text=text) for text in texts])


def total(registry: CollectorRegistry, metric: str, /, **labels: str) -> float:
    """The sum of a metric over all labels that are not given."""
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


async def test_calls_are_counted_by_method_and_status(
    server_with: ServerFactory, wait_until: Any
) -> None:
    metrics = ServerMetrics()
    count = metrics.registry
    async with server_with(metrics=metrics) as server:
        for texts in (["a b", "c"], ["d"]):
            await server.translation.Translate(request_for(*texts))
        with pytest.raises(grpc.aio.AioRpcError):
            await server.translation.Translate(request_for())
        # A call is counted once it is over, which may be after its caller has heard so.
        await wait_until(lambda: total(count, "dragoman_calls_total") == 3)
        assert total(count, "dragoman_calls_total", method=TRANSLATE, code="OK") == 2
        assert total(count, "dragoman_calls_total", code="INVALID_ARGUMENT") == 1
        assert total(count, "dragoman_call_seconds_count", method=TRANSLATE) == 3
        assert total(count, "dragoman_calls_in_flight") == 0
        assert total(count, "dragoman_models", name="animals", state="ready", current="yes") == 1
        assert total(count, "dragoman_models") == 2


async def test_batches_are_counted_by_item_token_and_time(
    server_with: ServerFactory, wait_until: Any
) -> None:
    metrics = ServerMetrics()
    count = metrics.registry
    async with server_with(metrics=metrics) as server:
        server.translator.seconds_a_step = 0.01
        for texts in (["a b", "c"], ["d"]):
            await server.translation.Translate(request_for(*texts))
        await wait_until(lambda: total(count, "dragoman_model_seconds_count") == 2)
        assert total(count, "dragoman_batch_items_sum", model="backwards/1") == 3
        assert total(count, "dragoman_queue_seconds_count", model="backwards/1") == 3
        batches = total(count, "dragoman_batch_items_count")
        assert total(count, "dragoman_model_seconds_count") == batches == 2
        assert total(count, "dragoman_model_seconds_sum") >= 0.02
        assert total(count, "dragoman_tokens_total", kind="Translate") > 3
        assert total(count, "dragoman_queued_calls") == total(count, "dragoman_queued_tokens") == 0


async def test_load_that_is_shed_is_counted(server_with: ServerFactory, wait_until: Any) -> None:
    metrics = ServerMetrics()
    count = metrics.registry
    settings = {"worker_threads": 1, "max_queued_calls": 0}
    async with server_with(settings, metrics=metrics) as server:
        server.translator.may_go_on.clear()
        held = server.translation.Translate(request_for("a"))
        await wait_until(lambda: bool(server.translator.calls))
        assert total(count, "dragoman_calls_in_flight") == 1
        assert total(count, "dragoman_running_batches") == 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.translation.Translate(request_for("b"))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        server.translator.may_go_on.set()
        await held
        assert total(count, "dragoman_calls_shed_total", reason="queue") == 1
        await wait_until(lambda: total(count, "dragoman_calls_total") == 2)
        assert total(count, "dragoman_calls_total", code="UNAVAILABLE") == 1


async def test_no_label_holds_what_a_request_holds(server_with: ServerFactory) -> None:
    metrics = ServerMetrics()
    async with server_with(metrics=metrics) as server:
        request = embedding_service_pb2.EmbedRequest(words=["secretword"])
        await server.embedding.Embed(request)
        request.model.name = "nosuchmodel"
        with pytest.raises(grpc.aio.AioRpcError):
            await server.embedding.Embed(request)
    labels = {
        value
        for family in metrics.registry.collect()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not [value for value in labels if "secretword" in value or "nosuchmodel" in value]


def test_metrics_are_served_where_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with served_metrics(ServerSettings(metrics_address="127.0.0.1:0")) as metrics:
        assert metrics is not None
        metrics.call_began()
        found = re.search(r"http://127\.0\.0\.1:\d+/metrics", caplog.text)
        assert found is not None
        with urllib.request.urlopen(found[0], timeout=30) as response:  # noqa: S310 - it is http
            text = response.read().decode()
        values = {
            sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert values["dragoman_calls_in_flight"] == 1
        assert values["process_resident_memory_bytes"] > 1e6
        taken = found[0].removeprefix("http://").removesuffix("/metrics")
        again = ServerSettings(metrics_address=taken)
        with pytest.raises(StartupError, match="cannot serve metrics"), served_metrics(again):
            pass
    with served_metrics(ServerSettings()) as metrics:
        assert metrics is None


def test_the_network_reads_metrics_only_by_the_flag() -> None:
    address = "0.0.0.0:0"
    refused = served_metrics(ServerSettings(metrics_address=address))
    with pytest.raises(ConfigError, match="--allow-metrics-on-network"), refused:
        pass
    allowed = ServerSettings(metrics_address=address, allow_metrics_on_network=True)
    with served_metrics(allowed) as metrics:
        assert metrics is not None


async def test_the_dashboard_names_only_metrics_that_there_are(server_with: ServerFactory) -> None:
    metrics = ServerMetrics()
    async with server_with(metrics=metrics) as server:
        await server.translation.Translate(request_for("a"))
        metrics.shed("Translate backwards/1", "queue", 1)
        metrics.expired("Translate backwards/1", 1)
        known: dict[str, set[str]] = {}
        for family in metrics.registry.collect():
            for sample in family.samples:
                known.setdefault(sample.name, set()).update(sample.labels)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name for one in expressions for name in re.findall(r"(?:dragoman|process)_\w+", one)}
    assert len(named) > 12
    assert named <= set(known)
    for expression in expressions:
        (name, *_) = re.findall(r"(?:dragoman|process)_\w+", expression)
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            assert set(grouped.split(", ")) - {"instance"} <= known[name], expression


async def test_calls_are_traced_as_parts_of_their_callers_traces(
    server_with: ServerFactory,
) -> None:
    exporter = InMemorySpanExporter()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with traced(True, exporter) as tracing:
        async with server_with(tracing=tracing) as server:
            metadata = (("traceparent", f"00-{trace}-{parent}-01"), ("x-request-id", "r-1"))
            call = server.models.ListModels(
                model_service_pb2.ListModelsRequest(), metadata=metadata
            )
            await call
            assert ("x-request-id", "r-1") in tuple(await call.trailing_metadata())
            with pytest.raises(grpc.aio.AioRpcError):
                await server.translation.Translate(request_for())
            channel: Any = server.channel
            stub: Any = health_pb2_grpc.HealthStub(channel)
            await stub.Check(health_pb2.HealthCheckRequest())
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {name.rpartition("/")[2] for name in spans} == {"ListModels", "Translate"}
    listed, failed = (
        next(span for name, span in spans.items() if name.endswith(end))
        for end in ("ListModels", "Translate")
    )
    assert f"{listed.context.trace_id:032x}" == trace
    assert listed.parent is not None
    assert f"{listed.parent.span_id:016x}" == parent
    attributes = failed.attributes
    assert attributes is not None
    assert attributes["rpc.grpc.status_code"] == 3
    assert listed.resource.attributes["service.name"] == "dragoman"
    with traced(False) as tracing:
        assert tracing is None
