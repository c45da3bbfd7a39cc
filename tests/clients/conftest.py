"""A server in the test's own process that answers what a test tells it to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_status import rpc_status

from dragoman.v1 import (
    embedding_service_pb2_grpc,
    evaluation_service_pb2_grpc,
    language_model_service_pb2_grpc,
    model_pb2,
    model_service_pb2_grpc,
    translation_service_pb2_grpc,
    vision_service_pb2_grpc,
)
from dragoman.v1.translation_service_pb2 import TranslateResponse
from dragoman_client import AsyncClient, Client

Answer = Callable[[Any, grpc.ServicerContext], Message]

_SERVICES: tuple[tuple[type, Callable[[Any, grpc.Server], None]], ...] = (
    (
        embedding_service_pb2_grpc.EmbeddingServiceServicer,
        embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server,
    ),
    (
        translation_service_pb2_grpc.TranslationServiceServicer,
        translation_service_pb2_grpc.add_TranslationServiceServicer_to_server,
    ),
    (
        evaluation_service_pb2_grpc.EvaluationServiceServicer,
        evaluation_service_pb2_grpc.add_EvaluationServiceServicer_to_server,
    ),
    (
        language_model_service_pb2_grpc.LanguageModelServiceServicer,
        language_model_service_pb2_grpc.add_LanguageModelServiceServicer_to_server,
    ),
    (
        model_service_pb2_grpc.ModelServiceServicer,
        model_service_pb2_grpc.add_ModelServiceServicer_to_server,
    ),
    (
        vision_service_pb2_grpc.VisionServiceServicer,
        vision_service_pb2_grpc.add_VisionServiceServicer_to_server,
    ),
)


class WatchedHealth(HealthServicer):
    """The standard health service; ``watched`` is set when a watcher has had its first answer."""

    def __init__(self) -> None:
        super().__init__()
        self.watched = threading.Event()

    def Watch(  # type: ignore[override]  # noqa: N802
        self, request: Any, context: grpc.ServicerContext, send: Callable[[Any], None]
    ) -> None:
        def respond(response: Any) -> None:
            send(response)
            self.watched.set()

        super().Watch(request, context, respond)


class FakeServer:
    """Answers each call with what ``answers`` holds for its name, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[Any] = []
        self.deadlines: list[float] = []
        self.times: list[float] = []
        self.health = WatchedHealth()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)]
        )
        for base, add in _SERVICES:
            add(self._servicer(base), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _servicer(self, base: type) -> object:
        # Two services have a call Score: that of the language models is kept apart by its name.
        def answering(name: str) -> Callable[[Any, Any, grpc.ServicerContext], Message]:
            is_text_score = (base.__name__, name) == ("LanguageModelServiceServicer", "Score")
            key = "ScoreTexts" if is_text_score else name
            return lambda _, request, context: self._answer(key, request, context)

        names = [name for name in vars(base) if not name.startswith("_")]
        return type(base.__name__, (base,), {name: answering(name) for name in names})()

    def _answer(self, name: str, request: Any, context: grpc.ServicerContext) -> Message:
        self.times.append(time.monotonic())
        self.requests.append(request)
        self.deadlines.append(context.time_remaining())
        return self.answers[name](request, context)

    def always(self, name: str, answer: Message) -> None:
        """Answers the call ``name`` with ``answer``."""
        self.answers[name] = lambda request, context: answer

    def fail(self, name: str, status: status_pb2.Status) -> None:
        """Fails the call ``name`` with a rich status."""

        def answer(_: Any, context: grpc.ServicerContext) -> Message:
            context.abort_with_status(rpc_status.to_status(status))
            raise AssertionError("abort returned")

        self.answers[name] = answer

    def stop(self) -> None:
        self._server.stop(grace=None).wait()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.stop()


def _call(address: str, name: str, *arguments: Any, **options: Any) -> Any:
    with Client(address) as client:
        return getattr(client, name)(*arguments, **options)


def _call_async(address: str, name: str, *arguments: Any, **options: Any) -> Any:
    async def call() -> Any:
        async with AsyncClient(address) as client:
            return await getattr(client, name)(*arguments, **options)

    return asyncio.run(call())


@pytest.fixture(params=[_call, _call_async], ids=["Client", "AsyncClient"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method by name, with the synchronous client and with the asynchronous one."""
    made: Callable[..., Any] = request.param
    return made


@pytest.fixture
def translating_server(server: FakeServer) -> FakeServer:
    """Translates into capitals; "bad" is a bad item, and "full" finds the server full."""

    def translate(request: Any, context: grpc.ServicerContext) -> TranslateResponse:
        response = TranslateResponse(model=model_pb2.ModelVersion(name="shout", version=2))
        for i, source in enumerate(request.sources):
            if source.text == "full":
                context.set_trailing_metadata(
                    (("grpc-retry-pushback-ms", "-1"), ("x-request-id", "r-1"))
                )
                context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
            result = response.results.add()
            if source.text in ("bad", ""):
                result.error.CopyFrom(_bad_item(f"sources[{i}].text"))
                continue
            for rank in range(request.options.n_best or 1):
                text = source.text.upper() + "!" * rank
                result.translation.hypotheses.add(text=text, score=-0.5 - rank)
        return response

    server.answers["Translate"] = translate
    return server


def _bad_item(path: str) -> status_pb2.Status:
    wrong = error_details_pb2.BadRequest()
    wrong.field_violations.add(field=path, description="is blank; give some text")
    status = status_pb2.Status(code=3, message=f"{path}: is blank; give some text")
    status.details.add().Pack(wrong)
    return status
