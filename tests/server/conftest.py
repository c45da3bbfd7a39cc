"""A server in this process, with fake models that do what a test tells them to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from dragoman.v1 import (
    embedding_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    model_service_pb2_grpc,
    translation_service_pb2_grpc,
)
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import InvalidInputError
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.vocabulary import Vocabulary
from dragoman_server.config import ServerSettings
from dragoman_server.grpc_server import ServerParts, build_server
from dragoman_server.listening import listen
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.security.server_credentials import server_credentials

# No processes for models that tests count the calls of.
IN_PROCESS = {"translation": 0, "language_model": 0, "vision": 0}

# Two directions that the axes carry: number and kind; so cat - cats + dogs is dog.
WORDS = ("cat", "cats", "dog", "dogs", "the", "zero")
MATRIX = np.array(
    [[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]], dtype=np.float32
)


class FakeTranslator:
    """Writes each source backwards, one word a step; can be held, and counts its steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.calls: list[tuple[str, ...]] = []
        self.required: list[Sequence[str]] = []  # phrases of each source
        self.seconds_a_step = 0.0
        self.steps_a_call = 1
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.failure: Exception | None = None

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        return (*"".join(c for c in text if c.isprintable()).split(), "</s>")

    def translate(
        self,
        sources: Sequence[str],
        options: TranslationOptions,
        *,
        prefixes: Sequence[str] | None = None,
        required_phrases: Sequence[Sequence[str]] | None = None,
        banned_phrases: Sequence[Sequence[str]] | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> list[tuple[Hypothesis, ...]]:
        self.calls.append(tuple(sources))
        self.required += required_phrases or []
        if self.failure is not None:
            raise self.failure
        for index, source in enumerate(sources):
            if "unspeakable" in source:
                raise InvalidInputError.single(f"sources[{index}]", "is unspeakable; speak")
        for _ in range(self.steps_a_call):
            if cancelled is not None and cancelled(0):
                return [()] * len(sources)
            self.may_go_on.wait()
            self.steps += 1
            time.sleep(self.seconds_a_step)
        return [(self._hypothesis(source, options),) for source in sources]

    def _hypothesis(self, source: str, options: TranslationOptions) -> Hypothesis:
        tokens = (*reversed(source.split()), "</s>")
        shape = (len(tokens), len(self.source_tokens(source)))
        return Hypothesis(
            text=" ".join(tokens[:-1]),
            score=-0.5,
            log_prob=-1.5,
            tokens=tokens,
            token_log_probs=tuple(-1.5 / len(tokens) for _ in tokens),
            truncated=options.max_length is not None and len(tokens) > options.max_length,
            attention=np.full(shape, 1 / shape[1], np.float32)
            if options.return_alignments
            else None,
        )


def ready_version(name: str, family: str, model: object, version: int = 1) -> ModelVersion:
    """A version that is READY without a bundle."""
    return ModelVersion(
        name=name,
        version=version,
        path=Path(name) / str(version),
        size_bytes=1,
        config={"family": family},
        state=ModelState.READY,
        model=model,
    )


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server that answers in this process, its stubs, and its fake translator."""

    parts: ServerParts
    channel: grpc.aio.Channel
    translator: FakeTranslator
    address: str
    embedding: Any
    translation: Any
    evaluation: Any
    models: Any


@asynccontextmanager
async def running_server(
    settings: Mapping[str, Any] | None = None,
    versions: Sequence[ModelVersion] | None = None,
    *,
    repository: ModelRepository | None = None,
    **build: Any,
) -> AsyncIterator[RunningServer]:
    """The server with a repository, or with `versions`, or with the translator "backwards" and the
    vectors "animals"."""
    translator = FakeTranslator()
    if versions is None:
        vectors = WordVectors(Vocabulary(WORDS), MATRIX)
        versions = [
            ready_version("animals", "word-vectors", vectors),
            ready_version("backwards", "translation", translator),
        ]
    made = ServerSettings(**{"address": "127.0.0.1:0", "workers": IN_PROCESS, **(settings or {})})
    parts = build_server(made, repository or ModelRepository(versions), **build)
    address = listen(parts.server, "127.0.0.1:0", server_credentials(made))
    await parts.health.start()
    await parts.server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield RunningServer(
            parts=parts,
            channel=channel,
            translator=translator,
            address=address,
            embedding=embedding_service_pb2_grpc.EmbeddingServiceStub(channel),
            translation=translation_service_pb2_grpc.TranslationServiceStub(channel),
            evaluation=evaluation_service_pb2_grpc.EvaluationServiceStub(channel),
            models=model_service_pb2_grpc.ModelServiceStub(channel),
        )
    translator.may_go_on.set()
    for queue in parts.queues:
        queue.close()
    await parts.server.stop(0)
    parts.scoring_process.stop()


ServerFactory = Callable[..., AbstractAsyncContextManager[RunningServer]]


@pytest.fixture
def server_with() -> ServerFactory:
    """Starts a server with other settings or versions."""
    return running_server


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    """A server with the fake translator "backwards" and the small real vectors "animals"."""
    async with running_server() as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class BundleFolder:
    """A model repository on disk that a test fills."""

    path: Path
    details: Mapping[str, object] = field(default_factory=lambda: {"license": "CC0-1.0"})

    def add_word_vectors(self, name: str, version: int = 1) -> Path:
        """A sound bundle of the animals."""
        folder = self.path / name / str(version)
        write_word_vectors(
            folder,
            WordVectors(Vocabulary(WORDS), MATRIX),
            encoding=VectorEncoding.FLOAT32,
            details=self.details,
            metrics={"test": {"accuracy": 0.5, "items": 3}, "command": "none"},
            card="# Animals\n\nFor tests.\n",
        )
        return folder


@pytest.fixture
def bundles(tmp_path: Path) -> BundleFolder:
    """An empty model repository on disk."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return BundleFolder(path=folder)


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until `condition` holds, whatever makes it so; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells when a thread has ended
            await asyncio.sleep(0.005)


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`await wait_until(lambda: ...)`."""
    return eventually
