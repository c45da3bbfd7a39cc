"""The models of the server: which there are, in which state, and which one a request means."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from dragoman_models.bundle import Bundle, is_model_name, read_bundle
from dragoman_models.errors import (
    BundleError,
    InvalidInputError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadedError,
    quoted,
)
from dragoman_models.registry import load_model
from dragoman_server.errors import ConfigError
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.served_families import SERVED_FAMILIES, ServedFamily

_RETRY_SECONDS = 1.0
_HIGHEST_VERSION = 999_999_999
_MOST_NAMES = 12
_log = logging.getLogger(__name__)


class ModelRepository:
    """All versions of all models. Belongs to the event loop; only loading uses another thread."""

    def __init__(
        self,
        found: Sequence[ModelVersion],
        *,
        defaults: Mapping[str, str | None] | None = None,
        families: Sequence[ServedFamily] = SERVED_FAMILIES,
        load: Callable[[Bundle], object] = load_model,
    ) -> None:
        """`defaults` names the default model of a service, by the service's full name.

        Raises `ConfigError` for a default that is not in the repository, or of the wrong family.
        """
        self._versions = {(one.name, one.version): one for one in found}
        self._families = {family.name: family for family in families}
        self._defaults = {service: name for service, name in (defaults or {}).items() if name}
        self._load = load
        self._check_defaults(families)

    def versions(self) -> list[ModelVersion]:
        """Every version, by name and version."""
        return [self._versions[key] for key in sorted(self._versions)]

    def services_of(self, version: ModelVersion) -> tuple[str, ...]:
        """Full names of the services that the model answers."""
        family = self._families.get(version.family)
        return () if family is None else (family.service,)

    def default_for(self, version: ModelVersion) -> tuple[str, ...]:
        """Full names of the services that the model answers when a call names none."""
        return tuple(
            service
            for service in self.services_of(version)
            if self.default_name(service) == version.name
        )

    def default_name(self, service: str) -> str | None:
        """The configured default of a service, or else the only model that answers it, or else the
        usual one of its family."""
        if service in self._defaults:
            return self._defaults[service]
        names = self._names_for(service)
        if len(names) == 1:
            return names[0]
        usual = [one.usual for one in self._families.values() if one.service == service]
        return next((name for name in usual if name in names), None)

    def current(self, name: str) -> ModelVersion | None:
        """The highest READY version."""
        ready = [one for one in self._versions_of(name) if one.state is ModelState.READY]
        return ready[-1] if ready else None

    def ready_services(self) -> frozenset[str]:
        """The services that a READY model answers."""
        ready = [one for one in self._versions.values() if one.state is ModelState.READY]
        return frozenset(service for one in ready for service in self.services_of(one))

    def describe(self, name: str, version: int | None) -> ModelVersion:
        """A version whatever its state; without a number the current one, or else the highest.

        Raises `InvalidInputError` and `ModelNotFoundError`.
        """
        self._check_selector(name, version)
        versions = self._existing(name)
        if version is None:
            return self.current(name) or versions[-1]
        return self._numbered(versions, version)

    def select(self, service: str, name: str, version: int | None) -> ModelVersion:
        """The READY version that answers a call of `service`.

        Raises `InvalidInputError`, `ModelNotFoundError`, `ModelLoadingError` and
        `ModelNotLoadedError`.
        """
        if not name:
            name = self._required_default(service)
        self._check_selector(name, version)
        versions = self._existing(name)
        if version is not None:
            versions = [self._numbered(versions, version)]
        self._check_family(versions[-1], service)
        ready = [one for one in versions if one.state is ModelState.READY]
        if ready:
            return ready[-1]
        if any(one.state is ModelState.LOADING for one in versions):
            raise ModelLoadingError(name, _RETRY_SECONDS)
        reasons = "; ".join(f"version {one.version}: {one.failure_reason}" for one in versions)
        raise ModelNotLoadedError(name, f"model {quoted(name)} could not be loaded: {reasons}")

    async def load_all(self, executor: ThreadPoolExecutor) -> None:
        """Read, verify and warm up one version after the other; none stops the rest."""
        loop = asyncio.get_running_loop()
        for key in sorted(self._versions):
            loaded = await loop.run_in_executor(executor, self._loaded, self._versions[key])
            self._versions[key] = loaded

    def _loaded(self, version: ModelVersion) -> ModelVersion:
        started = time.monotonic()
        try:
            bundle = read_bundle(version.path)
            model = self._load(bundle)
            family = self._families.get(bundle.family)
            if family is not None:
                family.warm_up(model)
        except BundleError as error:
            return _failed(version, error.reason)
        except Exception as error:
            _log.exception("loading %s failed", version)
            return _failed(version, f"{type(error).__name__}: {error}")
        seconds = time.monotonic() - started
        _log.info("model %s is ready after %.2f s", version, seconds)
        return replace(
            version,
            config=bundle.config,
            metrics=bundle.metrics,
            card=bundle.card,
            state=ModelState.READY,
            model=model,
            ready_at=datetime.now(UTC),
            load_seconds=seconds,
        )

    def _check_defaults(self, families: Iterable[ServedFamily]) -> None:
        for family in families:
            name = self._defaults.get(family.service)
            names = self._names_for(family.service)
            if name is not None and name not in names:
                raise ConfigError(
                    f"{family.setting}: no model of the family {family.name} is named "
                    f"{quoted(name)}; {_choice(names)}"
                )

    def _check_selector(self, name: str, version: int | None) -> None:
        if not is_model_name(name):
            raise InvalidInputError.single(
                "model.name",
                f"is {quoted(name)}, which cannot name a model; {_choice(self._names())}",
            )
        if version is not None and not 1 <= version <= _HIGHEST_VERSION:
            raise InvalidInputError.single(
                "model.version",
                f"is {version}; give 1 to {_HIGHEST_VERSION:,}, or leave it out for the current",
            )

    def _check_family(self, version: ModelVersion, service: str) -> None:
        # Of a bundle too damaged to tell its family, the damage is what the caller should hear.
        if version.family and service not in self.services_of(version):
            raise InvalidInputError.single(
                "model.name",
                f"{quoted(version.name)} is of the family {quoted(version.family)}, which does "
                f"not answer {service}; {_choice(self._names_for(service))}",
            )

    def _required_default(self, service: str) -> str:
        name = self.default_name(service)
        if name is None:
            raise InvalidInputError.single(
                "model.name",
                f"is empty, and this server has no default model for {service}; "
                f"{_choice(self._names_for(service))}",
            )
        return name

    def _existing(self, name: str) -> list[ModelVersion]:
        versions = self._versions_of(name)
        if not versions:
            raise ModelNotFoundError(
                name, f"no model is named {quoted(name)}; {_choice(self._names())}"
            )
        return versions

    def _numbered(self, versions: Sequence[ModelVersion], version: int) -> ModelVersion:
        for one in versions:
            if one.version == version:
                return one
        name = versions[0].name
        numbers = ", ".join(str(one.version) for one in versions)
        raise ModelNotFoundError(
            f"{name}/{version}",
            f"model {quoted(name)} has no version {version}; it has: {numbers}",
        )

    def _versions_of(self, name: str) -> list[ModelVersion]:
        return [self._versions[key] for key in sorted(self._versions) if key[0] == name]

    def _names(self) -> list[str]:
        return sorted({name for name, _ in self._versions})

    def _names_for(self, service: str) -> list[str]:
        return sorted(
            {one.name for one in self._versions.values() if service in self.services_of(one)}
        )


def _failed(version: ModelVersion, reason: str) -> ModelVersion:
    line = " ".join(reason.split())
    _log.error("model %s is refused: %s", version, line)
    return replace(version, state=ModelState.FAILED, failure_reason=line)


def _choice(names: Sequence[str]) -> str:
    if not names:
        return "there is none to choose from in the model repository"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"choose from: {', '.join(names[:_MOST_NAMES])}{more}"
