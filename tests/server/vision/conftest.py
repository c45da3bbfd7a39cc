"""A server with the three fake models of images, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.server.conftest import FakeTranslator, RunningServer, ready_version, running_server
from tests.server.vision.fake_models import (
    LIMITS,
    ColourClassifier,
    ColourEmbedder,
    SpotDetector,
)

from dragoman.v1 import vision_service_pb2_grpc
from dragoman_server.encoded_images import over_encoded_images
from dragoman_server.model_version import ModelVersion


@dataclass(frozen=True, kw_only=True)
class VisionServer:
    """The server, its stub for images, its models, and the translator "backwards" beside them."""

    server: RunningServer
    stub: Any
    classifier: ColourClassifier = field(default_factory=ColourClassifier)
    detector: SpotDetector = field(default_factory=SpotDetector)
    embedder: ColourEmbedder = field(default_factory=ColourEmbedder)
    translator: FakeTranslator = field(default_factory=FakeTranslator)


VisionFactory = Callable[..., AbstractAsyncContextManager[VisionServer]]


@asynccontextmanager
async def vision_server(**settings: Any) -> AsyncIterator[VisionServer]:
    made = {
        "classifier": ColourClassifier(), "detector": SpotDetector(), "embedder": ColourEmbedder()
    }  # fmt: skip
    translator = FakeTranslator()
    versions: list[ModelVersion] = [ready_version("backwards", "translation", translator)]
    for name, family in (
        ("colours", "image_classifier"), ("spots", "object_detector"), ("faces", "image_embedder")
    ):  # fmt: skip
        (model,) = (one for key, one in made.items() if family.endswith(key))
        wrapped = over_encoded_images(model, family, LIMITS)
        versions.append(ready_version(name, family, wrapped))
    build = {name: settings.pop(name) for name in ("metrics", "observer") if name in settings}
    async with running_server(settings, versions, **build) as server:
        stub = vision_service_pb2_grpc.VisionServiceStub(server.channel)
        models: Any = made
        yield VisionServer(server=server, stub=stub, translator=translator, **models)
        for one in models.values():
            one.may_go_on.set()
        translator.may_go_on.set()


@pytest.fixture
def vision_with() -> VisionFactory:
    """Starts a server with other settings."""
    return vision_server


@pytest.fixture
async def vision() -> AsyncIterator[VisionServer]:
    async with vision_server() as running:
        yield running
