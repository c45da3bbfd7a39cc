"""Requests about the server's models."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman.v1.model_pb2 import ModelState as ModelStateMessage
from dragoman.v1.model_service_pb2 import (
    GetModelRequest,
    ListModelsRequest,
    LoadModelRequest,
    UnloadModelRequest,
)
from dragoman_client.requests.fields import (
    Model,
    enum_number,
    model_selector,
    set_number,
    text_field,
)
from dragoman_client.results import ModelState


def list_models_request(
    *, family: str, states: Sequence[ModelState], page_size: int, page_token: str
) -> ListModelsRequest:
    request = ListModelsRequest(family=text_field(family, "family"), page_token=page_token)
    set_number(request, "page_size", page_size, "page_size")
    request.states.extend(enum_number(ModelStateMessage, "MODEL_STATE", state) for state in states)
    return request


def get_model_request(model: Model) -> GetModelRequest:
    return GetModelRequest(model=model_selector(model))


def load_model_request(model: Model, *, pin: bool) -> LoadModelRequest:
    return LoadModelRequest(model=model_selector(model), pin=pin)


def unload_model_request(model: Model) -> UnloadModelRequest:
    return UnloadModelRequest(model=model_selector(model))
