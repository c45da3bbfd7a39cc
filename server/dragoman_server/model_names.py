"""What the names in requests mean: aliases, and the versions that are pinned."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from dragoman_models.bundle import is_model_name, is_version
from dragoman_models.errors import InvalidInputError, quoted
from dragoman_server.errors import ConfigError
from dragoman_server.model_version import ModelVersion

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AliasTarget:
    """What an alias stands for: a model, or one version of it."""

    name: str
    version: int | None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}/{self.version}"


class ModelNames:
    """Aliases, which the settings fix, and pins, which the settings begin and calls change.

    An alias wins over a model of the same name. A pin that a call set gives way to that of the
    settings once its version is unloaded.
    """

    def __init__(
        self, aliases: Mapping[str, str] | None = None, pinned: Mapping[str, int] | None = None
    ) -> None:
        """Aliases lead to NAME or NAME/VERSION. Raises `ConfigError`."""
        self._aliases = {name: _target(name, text) for name, text in (aliases or {}).items()}
        for name, target in self._aliases.items():
            if target.name in self._aliases:
                raise ConfigError(
                    f"models.aliases: {name} leads to {target}, which is an alias too; name a model"
                )
        self._pinned = dict(pinned or {})
        self._pinned_by_call: dict[str, int] = {}

    @property
    def aliases(self) -> Mapping[str, AliasTarget]:
        """What each alias stands for."""
        return self._aliases

    @property
    def pinned_in_settings(self) -> Mapping[str, int]:
        """Version by model."""
        return self._pinned

    def resolved(self, name: str, version: int | None) -> tuple[str, int | None]:
        """The model, and the version where one is named, behind a request's name and version.

        Raises `InvalidInputError` for another version than that of an alias.
        """
        target = self._aliases.get(name)
        if target is None:
            return name, version
        if target.version is None:
            return target.name, version
        if version not in (None, target.version):
            raise InvalidInputError.single(
                "model.version",
                f"is {version}, but {quoted(name)} is an alias of {target}; leave it out",
            )
        return target.name, target.version

    def aliases_of(self, version: ModelVersion) -> tuple[str, ...]:
        """The names, beside its own, under which calls may name the version."""
        return tuple(
            sorted(
                alias
                for alias, target in self._aliases.items()
                if target.name == version.name and target.version in (None, version.version)
            )
        )

    def pinned_version(self, name: str) -> int | None:
        """The only version that may answer calls of a model that name none; None: the highest."""
        return self._pinned_by_call.get(name, self._pinned.get(name))

    def pin(self, version: ModelVersion) -> None:
        """From now on this version answers, whatever higher ones there are."""
        self._pinned_by_call[version.name] = version.version
        _log.info("model %s is pinned", version)

    def unpin(self, version: ModelVersion) -> None:
        """End the pin that a call set on this version, if there is one."""
        if self._pinned_by_call.get(version.name) == version.version:
            del self._pinned_by_call[version.name]
            _log.warning("model %s is no longer pinned", version)


def _target(alias: str, text: str) -> AliasTarget:
    name, slash, version = text.partition("/")
    if not is_model_name(alias):
        raise ConfigError(
            f"models.aliases: {quoted(alias)} cannot name a model; use lowercase letters, digits, "
            "'.', '_' and '-'"
        )
    if not is_model_name(name) or (slash and not is_version(version)):
        raise ConfigError(
            f"models.aliases: {alias} leads to {quoted(text)}; give NAME or NAME/VERSION"
        )
    return AliasTarget(name=name, version=int(version) if slash else None)
