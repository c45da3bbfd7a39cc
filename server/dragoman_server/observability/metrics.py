"""Metrics for Prometheus: what they are called, and what they count.

No label holds anything of a request but its method: names of models and methods are few.
"""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from dragoman_server.batching.batcher import Batcher
from dragoman_server.batching.observer import BatchRecord
from dragoman_server.model_repository import ModelRepository
from dragoman_server.observability.model_metrics import ModelCollector

# From a lookup of word vectors to a call that has all its time, in seconds.
_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
)  # fmt: skip
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_BATCH = ("kind", "model")


class ServerMetrics:
    """All metrics of a server; also the observer of its batches. Belongs to the event loop."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge(
            "dragoman_build_info", "The version that runs.", ["version"], registry=registry
        )
        build.labels(version("dragoman")).set(1)
        self._make_call_metrics(registry)
        self._make_batch_metrics(registry)

    def _make_call_metrics(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "dragoman_calls", "Calls that have ended, by status.", ["method", "code"],
            registry=registry,
        )  # fmt: skip
        self._call_seconds = Histogram(
            "dragoman_call_seconds", "From the begin of a call until its end.", ["method"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._in_flight = Gauge(
            "dragoman_calls_in_flight", "Calls that have not ended.", registry=registry
        )
        self._shed = Counter(
            "dragoman_calls_shed", "Calls that were refused to bound the load.",
            [*_BATCH, "reason"], registry=registry,
        )  # fmt: skip

    def _make_batch_metrics(self, registry: CollectorRegistry) -> None:
        self._queue_seconds = Histogram(
            "dragoman_queue_seconds", "How long an item waited for its batch.", _BATCH,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._model_seconds = Histogram(
            "dragoman_model_seconds", "How long a model took for a batch.", _BATCH,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._batch_items = Histogram(
            "dragoman_batch_items", "Items of a batch.", _BATCH, buckets=_ITEMS, registry=registry
        )
        self._tokens = Counter(
            "dragoman_tokens",
            "Tokens of batches that have ended, as estimated at admission; images of vision.",
            _BATCH, registry=registry,
        )  # fmt: skip
        self._failed = Counter(
            "dragoman_batches_failed", "Batches that a defect ended.", _BATCH, registry=registry
        )
        self._cancelled = Counter(
            "dragoman_items_cancelled", "Items whose caller had gone.", _BATCH, registry=registry
        )
        self._expired = Counter(
            "dragoman_items_expired", "Items whose deadline passed in the queue.", _BATCH,
            registry=registry,
        )  # fmt: skip

    def watch(self, batcher: Batcher, repository: ModelRepository) -> None:
        """Also tell what waits, what runs, and which models there are, when it is asked for."""
        for name, text, value in (
            ("dragoman_queued_calls", "Calls that wait for a worker.", lambda: batcher.queued),
            ("dragoman_queued_tokens", "Tokens that wait.", lambda: batcher.queued_cost),
            ("dragoman_running_batches", "Batches that are worked on.", lambda: batcher.running),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)
        self.registry.register(ModelCollector(repository))

    def watch_images(self, batcher: Batcher) -> None:
        """Also tell what waits and runs in the queue of images, when it is asked for."""
        for name, text, value in (
            ("dragoman_queued_image_calls", "Calls of VisionService that wait.",
             lambda: batcher.queued),
            ("dragoman_queued_images", "Images that wait; large ones count more than once.",
             lambda: batcher.queued_cost),
            ("dragoman_running_image_batches", "Batches of images that are worked on.",
             lambda: batcher.running),
        ):  # fmt: skip
            Gauge(name, text, registry=self.registry).set_function(value)

    def call_began(self) -> None:
        self._in_flight.inc()

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        self._in_flight.dec()
        self._calls.labels(method, code).inc()
        self._call_seconds.labels(method).observe(seconds)

    def batch_ended(self, record: BatchRecord) -> None:
        labels = _labels(record.kind)
        waited = self._queue_seconds.labels(*labels)
        for seconds in record.queue_seconds:
            waited.observe(seconds)
        self._model_seconds.labels(*labels).observe(record.model_seconds)
        self._batch_items.labels(*labels).observe(record.items)
        self._tokens.labels(*labels).inc(record.cost)
        self._cancelled.labels(*labels).inc(record.cancelled)
        self._failed.labels(*labels).inc(int(record.failed))

    def shed(self, kind: str, reason: str, cost: int) -> None:
        self._shed.labels(*_labels(kind), reason).inc()

    def expired(self, kind: str, items: int) -> None:
        self._expired.labels(*_labels(kind)).inc(items)


def _labels(kind: str) -> tuple[str, str]:
    """Kind and model of "Translate fr-en/1"."""
    call, _, model = kind.partition(" ")
    return call, model
