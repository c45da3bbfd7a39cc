"""ModelService: what models the server has, loaded and unloaded while it runs."""

# ruff: noqa: N802 - the names of the calls are those of the API.

import base64
import binascii
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dragoman.v1 import model_pb2, model_service_pb2_grpc
from dragoman.v1 import model_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.live_models import LiveModels
from dragoman_server.model_protocols import ServedImageModel
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.served_families import IMAGE_FAMILIES
from dragoman_server.services.model_selection import version_of

MODEL_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"].full_name

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1_000
_STATES = {
    ModelState.LOADING: model_pb2.MODEL_STATE_LOADING,
    ModelState.READY: model_pb2.MODEL_STATE_READY,
    ModelState.FAILED: model_pb2.MODEL_STATE_FAILED,
    ModelState.UNLOADED: model_pb2.MODEL_STATE_UNLOADED,
}


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Describes the repository, and has `LiveModels` change it."""

    def __init__(self, repository: ModelRepository, live: LiveModels) -> None:
        self._repository = repository
        self._live = live

    async def ListModels(
        self, request: pb.ListModelsRequest, context: object
    ) -> pb.ListModelsResponse:
        after, violations = _start(request)
        violations += _list_violations(request)
        if violations:
            raise InvalidInputError(violations)
        matching = [
            version
            for version in self._repository.versions()
            if (version.name, version.version) > after
            and request.family in ("", version.family)
            and (not request.states or _STATES[version.state] in request.states)
        ]
        size = request.page_size or _DEFAULT_PAGE
        page = matching[:size]
        return pb.ListModelsResponse(
            models=[self._info(version) for version in page],
            next_page_token=_token(request, page[-1]) if len(matching) > size else "",
        )

    async def GetModel(self, request: pb.GetModelRequest, context: object) -> pb.GetModelResponse:
        version = self._repository.describe(*_named(request.model))
        return pb.GetModelResponse(
            model=self._info(version), card=version.card, labels=_labels(version)
        )

    async def LoadModel(
        self, request: pb.LoadModelRequest, context: object
    ) -> pb.LoadModelResponse:
        version = await self._live.load(*_named(request.model), pin=request.pin)
        return pb.LoadModelResponse(model=self._info(version))

    async def UnloadModel(
        self, request: pb.UnloadModelRequest, context: object
    ) -> pb.UnloadModelResponse:
        unloaded = await self._live.unload(*_named(request.model))
        return pb.UnloadModelResponse(models=[self._info(version) for version in unloaded])

    def _info(self, version: ModelVersion) -> model_pb2.ModelInfo:
        config = version.config
        info = model_pb2.ModelInfo(
            name=version.name,
            version=version.version,
            family=version.family,
            state=_STATES[version.state],
            failure_reason=version.failure_reason,
            current=self._repository.current(version.name) is version,
            pinned=self._repository.names.pinned_version(version.name) == version.version,
            aliases=self._repository.names.aliases_of(version),
            services=self._repository.services_of(version),
            default_for=self._repository.default_for(version),
            description=_text(config, "description"),
            license=_text(config, "license"),
            source_languages=_texts(config, "source_languages"),
            target_languages=_texts(config, "target_languages"),
            size_bytes=version.size_bytes,
            parameter_count=_number(config, "parameter_count", 2**63 - 1) or 0,
            vocabulary_size=_number(config, "vocabulary_size", 2**32 - 1),
            dimensions=_dimensions(version),
            metrics=dict(_numbers(version.metrics)),
        )
        if version.ready_at is not None:
            info.load_time.FromDatetime(version.ready_at)
            info.load_duration.FromMicroseconds(round(version.load_seconds * 1e6))
        return info


def _named(selector: model_pb2.ModelSelector) -> tuple[str, int | None]:
    """The name, which must be there, and the version of a selector."""
    if not selector.name:
        raise InvalidInputError.single("model.name", "is empty; name the model")
    return selector.name, version_of(selector)


def _list_violations(request: pb.ListModelsRequest) -> list[FieldViolation]:
    violations = []
    if request.page_size > _LARGEST_PAGE:
        text = f"is {request.page_size:,}; give 1 to {_LARGEST_PAGE:,}, or 0 for {_DEFAULT_PAGE}"
        violations.append(FieldViolation(field="page_size", description=text))
    for position, state in enumerate(request.states):
        if state == model_pb2.MODEL_STATE_UNSPECIFIED:
            text = "is no state; leave states empty for all"
            violations.append(FieldViolation(field=f"states[{position}]", description=text))
    return violations


def _start(request: pb.ListModelsRequest) -> tuple[tuple[str, int], list[FieldViolation]]:
    """The name and version that the page comes after, and what is wrong with the token."""
    if not request.page_token:
        return ("", 0), []
    try:
        decoded = base64.b64decode(request.page_token, altchars=b"-_", validate=True).decode()
        filters, name, version = decoded.split("/")
        if filters != _filters(request):
            text = "belongs to another family or other states; repeat those of the page before"
            return ("", 0), [FieldViolation(field="page_token", description=text)]
        return (name, int(version)), []
    except (binascii.Error, ValueError):
        text = "is no page token; give next_page_token of the page before, or nothing"
        return ("", 0), [FieldViolation(field="page_token", description=text)]


def _token(request: pb.ListModelsRequest, last: ModelVersion) -> str:
    # It names the last model of the page, not a position, so that models may come and go.
    text = f"{_filters(request)}/{last.name}/{last.version}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _filters(request: pb.ListModelsRequest) -> str:
    text = f"{request.family}\n{sorted(set(request.states))}"
    return f"{zlib.crc32(text.encode()):08x}"


def _labels(version: ModelVersion) -> Sequence[str]:
    """The names of the classes: those that the model answers with, or while it is not loaded those
    that its config states."""
    if version.model is not None and version.family in IMAGE_FAMILIES:
        model: ServedImageModel = version.model
        return model.facts().labels
    return _texts(version.config, "labels")


def _dimensions(version: ModelVersion) -> int | None:
    if version.model is not None and version.family in IMAGE_FAMILIES:
        model: ServedImageModel = version.model
        return model.facts().dimensions
    return _number(version.config, "dimensions", 2**32 - 1)


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""


def _texts(config: Mapping[str, Any], key: str) -> list[str]:
    value = config.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _number(config: Mapping[str, Any], key: str, largest: int) -> int | None:
    value = config.get(key)
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
    return value if sound else None


def _numbers(group: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The finite numbers in nested groups, their names joined by dots."""
    for name, value in group.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                continue
            if math.isfinite(number):
                yield f"{prefix}{name}", number
