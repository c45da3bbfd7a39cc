"""Finds the model that a request is for."""

from dragoman.v1 import model_pb2
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion


def version_of(selector: model_pb2.ModelSelector) -> int | None:
    """The version that the selector names, or None for the current one."""
    return selector.version if selector.HasField("version") else None


def selected(
    repository: ModelRepository, target: str, selector: model_pb2.ModelSelector
) -> ModelVersion:
    """The READY version that is to answer a call for `target`, a service or one call of it; raises
    what `ModelRepository.select` raises."""
    return repository.select(target, selector.name, version_of(selector))


def answered_by(version: ModelVersion) -> model_pb2.ModelVersion:
    """How an answer names the model that gave it."""
    return model_pb2.ModelVersion(name=version.name, version=version.version)
