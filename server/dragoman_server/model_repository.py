"""The models of the server: which there are, in which state, and which one a request means."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from dragoman_models.bundle import is_model_name
from dragoman_models.errors import (
    InvalidInputError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadedError,
    quoted,
)
from dragoman_server.errors import ConfigError
from dragoman_server.model_names import ModelNames
from dragoman_server.model_version import Key, ModelState, ModelVersion
from dragoman_server.served_families import SERVED_FAMILIES, ServedFamily

_RETRY_SECONDS = 1.0
_HIGHEST_VERSION = 999_999_999
_MOST_NAMES = 12
_log = logging.getLogger(__name__)


class ModelRepository:
    """All versions of all models. Belongs to the event loop; `LiveModels` changes what is in it."""

    def __init__(
        self,
        found: Sequence[ModelVersion],
        *,
        defaults: Mapping[str, str | None] | None = None,
        families: Sequence[ServedFamily] = SERVED_FAMILIES,
        names: ModelNames | None = None,
    ) -> None:
        """`defaults` names default models by what calls ask for (`ServedFamily.target`): the full
        name of a service, or of one call where several families answer the calls of a service.

        Raises `ConfigError` for a default, alias or pin that leads to nothing in the repository,
        and for a default of the wrong family.
        """
        self.names = names or ModelNames()
        self._versions = {one.key: one for one in found}
        self._families = {family.name: family for family in families}
        self._defaults = {target: name for target, name in (defaults or {}).items() if name}
        self._found_defaults: dict[str, str] = {}
        self._check_defaults(families)
        self._check_names()
        self._find_defaults()

    def versions(self) -> list[ModelVersion]:
        """Every version, by name and version."""
        return [self._versions[key] for key in sorted(self._versions)]

    def version(self, key: Key) -> ModelVersion | None:
        """The version of this name and number, whatever its state."""
        return self._versions.get(key)

    def put(self, version: ModelVersion) -> None:
        """Add a version, or put it in the place of what it was before."""
        self._versions[version.key] = version
        if version.name in self.names.aliases:
            _log.warning("model %s is hidden by the alias of the same name", version)
        self._find_defaults()

    def remove(self, version: ModelVersion) -> None:
        """Forget a version; calls that it answers at the moment keep it until they end."""
        self._versions.pop(version.key, None)
        self.names.unpin(version)
        self._find_defaults()

    def named(self, name: str, version: int | None) -> list[ModelVersion]:
        """The versions that a name, or an alias, and a number mean; all where there is no number.

        Raises `InvalidInputError` and `ModelNotFoundError`.
        """
        self._check_selector(name, version)
        name, version = self.names.resolved(name, version)
        versions = self._existing(name)
        return versions if version is None else [self._numbered(versions, version)]

    def services_of(self, version: ModelVersion) -> tuple[str, ...]:
        """Full names of the services that the model answers."""
        family = self._families.get(version.family)
        return () if family is None else (family.service,)

    def default_for(self, version: ModelVersion) -> tuple[str, ...]:
        """Full names of the services that the model answers when a call names none."""
        family = self._families.get(version.family)
        if family is None or not self._leads_to(self.default_name(family.target), version):
            return ()
        return (family.service,)

    def default_name(self, target: str) -> str | None:
        """The configured default of a service or call, or else the one found among its models: the
        only one, or else the usual one of its family. What was found stays while the model is
        there, so that another which comes later takes nothing away from those who name none."""
        return self._defaults.get(target) or self._found_defaults.get(target)

    def current(self, name: str) -> ModelVersion | None:
        """The pinned version where it is READY; where none is pinned, the highest READY one."""
        pinned = self.names.pinned_version(name)
        ready = [
            one
            for one in self._versions_of(name)
            if one.state is ModelState.READY and pinned in (None, one.version)
        ]
        return ready[-1] if ready else None

    def ready_services(self) -> frozenset[str]:
        """The services that a READY model answers."""
        ready = [one for one in self._versions.values() if one.state is ModelState.READY]
        return frozenset(service for one in ready for service in self.services_of(one))

    def describe(self, name: str, version: int | None) -> ModelVersion:
        """A version whatever its state; without a number the current one, or else the highest.

        Raises `InvalidInputError` and `ModelNotFoundError`.
        """
        versions = self.named(name, version)
        if len(versions) == 1:
            return versions[0]
        return self.current(versions[0].name) or versions[-1]

    def select(self, target: str, name: str, version: int | None) -> ModelVersion:
        """The READY version that answers a call for `target`, a service or one call of it.

        Raises `InvalidInputError`, `ModelNotFoundError`, `ModelLoadingError` and
        `ModelNotLoadedError`.
        """
        name = name or self._required_default(target)
        self._check_selector(name, version)
        model, number = self.names.resolved(name, version)
        versions = self._existing(model)
        pinned = self.names.pinned_version(model)
        if number is not None:
            versions = [self._numbered(versions, number)]
        elif pinned is not None:
            versions = [self._pinned(versions, pinned)]
        ready = [one for one in versions if one.state is ModelState.READY]
        self._check_family((ready or versions)[-1], target)
        if ready:
            return ready[-1]
        if any(one.state is ModelState.LOADING for one in versions):
            raise ModelLoadingError(model, _RETRY_SECONDS)
        reasons = "; ".join(map(_why_not, versions))
        raise ModelNotLoadedError(model, f"model {quoted(model)} is not loaded: {reasons}")

    def _check_defaults(self, families: Iterable[ServedFamily]) -> None:
        for family in families:
            name = self._defaults.get(family.target)
            names = self._names_for(family.target)
            if name is not None and self.names.resolved(name, None)[0] not in names:
                raise ConfigError(
                    f"{family.setting}: no model of the family {family.name} is named "
                    f"{quoted(name)}; {_choice(names)}"
                )

    def _check_names(self) -> None:
        for alias, target in self.names.aliases.items():
            numbers = [one.version for one in self._versions_of(target.name)]
            if not numbers:
                text = f"there is no such model; {_choice(self._names())}"
            elif target.version not in (None, *numbers):
                text = f"it has the versions {', '.join(map(str, numbers))}"
            else:
                continue
            raise ConfigError(f"models.aliases: {alias} leads to {target}, but {text}")
        for name, version in self.names.pinned_in_settings.items():
            if (name, version) not in self._versions:
                raise ConfigError(
                    f"models.pinned: {name} has no version {version} in the repository; pin one of "
                    f"{', '.join(map(str, self._versions_of(name))) or 'the models that there are'}"
                )

    def _find_defaults(self) -> None:
        for target in {family.target for family in self._families.values()}:
            names = self._names_for(target)
            if self._found_defaults.get(target) in names:
                continue
            self._found_defaults.pop(target, None)
            usual = [one.usual for one in self._families.values() if one.target == target]
            found = names if len(names) == 1 else [name for name in usual if name in names]
            if found and found[0] is not None:
                self._found_defaults[target] = found[0]

    def _leads_to(self, name: str | None, version: ModelVersion) -> bool:
        """Whether a configured name or alias means this version, or its model as a whole."""
        if name is None:
            return False
        model, number = self.names.resolved(name, None)
        return model == version.name and number in (None, version.version)

    def _pinned(self, versions: Sequence[ModelVersion], pinned: int) -> ModelVersion:
        for one in versions:
            if one.version == pinned:
                return one
        name = versions[0].name
        raise ModelNotLoadedError(
            name,
            f"model {quoted(name)} is pinned to version {pinned}, which is not in the repository; "
            "name a version, pin another or put it back",
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

    def _target_of(self, version: ModelVersion) -> str:
        """What the model answers; empty for one of a family that no service answers with."""
        family = self._families.get(version.family)
        return "" if family is None else family.target

    def _check_family(self, version: ModelVersion, target: str) -> None:
        # Of a bundle too damaged to tell its family, the damage is what the caller should hear.
        if version.family and target != self._target_of(version):
            raise InvalidInputError.single(
                "model.name",
                f"{quoted(version.name)} is of the family {quoted(version.family)}, which does "
                f"not answer {target}; {_choice(self._names_for(target))}",
            )

    def _required_default(self, target: str) -> str:
        name = self.default_name(target)
        if name is None:
            raise InvalidInputError.single(
                "model.name",
                f"is empty, and this server has no default model for {target}; "
                f"{_choice(self._names_for(target))}",
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

    def _names_for(self, target: str) -> list[str]:
        return sorted(
            {one.name for one in self._versions.values() if target == self._target_of(one)}
        )


def _why_not(version: ModelVersion) -> str:
    unloaded = version.state is ModelState.UNLOADED
    reason = "it was unloaded, load it first" if unloaded else version.failure_reason
    return f"version {version.version}: {reason}"


def _choice(names: Sequence[str]) -> str:
    if not names:
        return "there is none to choose from in the model repository"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"choose from: {', '.join(names[:_MOST_NAMES])}{more}"
