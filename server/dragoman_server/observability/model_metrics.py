"""Which models the server has, as a metric."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dragoman_server.model_repository import ModelRepository

_LABELS = ("name", "version", "family", "state", "current")


class ModelCollector(Collector):
    """Asks the repository whenever the metrics are read."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = self._family()
        for version in self._repository.versions():
            current = self._repository.current(version.name) is version
            labels = (
                version.name,
                str(version.version),
                version.family,
                version.state.value,
                "yes" if current else "no",
            )
            family.add_metric(labels, 1)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "dragoman_models", "Versions of models by state; always 1.", labels=_LABELS
        )
