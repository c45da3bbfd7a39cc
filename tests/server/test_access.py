"""Who may make which call; and that a token is neither asked of probes nor found in a log."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

import dragoman.v1
from dragoman.v1 import (
    embedding_service_pb2,
    model_pb2,
    model_service_pb2,
    translation_service_pb2,
)
from dragoman_server.errors import AccessDeniedError
from dragoman_server.grpc_server import SERVICES
from dragoman_server.security.access_rules import scopes_for
from dragoman_server.security.authorization import Authorization
from dragoman_server.security.grant import Scope
from dragoman_server.security.token_file import AcceptedToken, write_tokens
from dragoman_server.security.token_secret import make_token

if TYPE_CHECKING:
    from tests.server.conftest import RunningServer, ServerFactory

Code = grpc.StatusCode
METHODS = [
    f"/{service}/{method}"
    for service in SERVICES
    for method in descriptor_pool.Default().FindServiceByName(service).methods_by_name
]


class Guarded:
    """A server with the tokens "user", "admin" and "both"."""

    def __init__(self, server: RunningServer, texts: dict[str, str]) -> None:
        self.server = server
        self.texts = texts

    def metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.texts[name]}"),)

    async def code_of(
        self, method: str, metadata: Any = (), request: bytes = b""
    ) -> grpc.StatusCode:
        """How a call ends, sent as bytes and read as a stream, which every call can be."""
        channel: Any = self.server.channel
        call = channel.stream_stream(method)(iter([request]), metadata=metadata, timeout=60)
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return Code.OK


@pytest.fixture
def guarded(tmp_path: Path, server_with: ServerFactory) -> Callable[..., Any]:
    @asynccontextmanager
    async def start(**more: Any) -> AsyncIterator[Guarded]:
        path = tmp_path / "tokens.json"
        scopes = {"user": ["use"], "admin": ["administer"], "both": ["use", "administer"]}
        made = {name: make_token() for name in scopes}
        write_tokens(
            path,
            [
                AcceptedToken.model_validate(
                    {
                        "name": name, "id": made[name].token_id, "sha256": made[name].digest,
                        "scopes": scopes[name], "created": datetime.now(UTC), **more,
                    }
                )
                for name in scopes
            ],
        )  # fmt: skip
        async with server_with({"accepted_tokens": path}) as server:
            yield Guarded(server, {name: one.text for name, one in made.items()})

    return start


async def test_every_call_of_every_service_needs_a_token(guarded: Callable[..., Any]) -> None:
    assert len(METHODS) > 15
    async with guarded() as one:
        other = make_token().text
        wrong = one.texts["user"][:-1] + ("A" if one.texts["user"][-1] != "A" else "B")
        for method in [*METHODS, "/grpc.channelz.v1.Channelz/GetServers"]:
            assert await one.code_of(method) is Code.UNAUTHENTICATED, method
        for method in METHODS[:2]:
            for value in (
                f"Bearer {other}", f"Bearer {wrong}", f"Basic {one.texts['user']}", "Bearer ", "",
                one.texts["user"], f"Bearer {'x' * 5_000}",
            ):  # fmt: skip
                metadata = (("authorization", value),)
                assert await one.code_of(method, metadata) is Code.UNAUTHENTICATED, method
        twice = one.metadata("user") * 2
        assert await one.code_of(METHODS[0], twice) is Code.UNAUTHENTICATED
        for method in METHODS:
            code = await one.code_of(method, one.metadata("both"))
            assert code not in (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED), method


async def test_scopes_bound_what_a_token_may(guarded: Callable[..., Any]) -> None:
    models = "/dragoman.v1.ModelService"
    channelz = "/grpc.channelz.v1.Channelz/GetServers"
    async with guarded() as one:
        for method in METHODS:
            for name in ("user", "admin"):
                denied = await one.code_of(method, one.metadata(name)) is Code.PERMISSION_DENIED
                if method in (f"{models}/LoadModel", f"{models}/UnloadModel"):
                    assert denied is (name == "user"), (method, name)
                elif method.startswith(models):
                    assert not denied, (method, name)
                else:
                    assert denied is (name == "admin"), (method, name)
        assert await one.code_of(channelz, one.metadata("user")) is Code.PERMISSION_DENIED
        assert await one.code_of(channelz, one.metadata("admin")) is Code.OK


def test_the_rules_are_those_that_the_api_documents() -> None:
    text = (Path(dragoman.v1.__file__).parent / "model_service.proto").read_text()
    documented = {
        method
        for comment, method in re.findall(r"((?:  //[^\n]*\n)+)  rpc (\w+)", text)
        if "without the administer scope" in " ".join(comment.replace("//", " ").split())
    }
    ruled = {
        method.rpartition("/")[2] for method in METHODS if scopes_for(method) == {Scope.ADMINISTER}
    }
    assert ruled == documented
    assert documented >= {"LoadModel", "UnloadModel"}


async def test_health_is_open_to_probes(guarded: Callable[..., Any]) -> None:
    async with guarded() as one:
        stub: Any = health_pb2_grpc.HealthStub(one.server.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=""))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_nothing_of_a_refused_request_is_read(guarded: Callable[..., Any]) -> None:
    # With a token, gRPC itself ends a call whose message is over the hard limit.
    huge = translation_service_pb2.TranslateRequest(
        sources=[translation_service_pb2.TranslationSource(text="x" * 30_000_000)]
    ).SerializeToString()
    method = "/dragoman.v1.TranslationService/Translate"
    async with guarded() as one:
        assert await one.code_of(method, (), huge) is Code.UNAUTHENTICATED
        code = await one.code_of(method, one.metadata("user"), huge)
        assert code is Code.RESOURCE_EXHAUSTED


async def test_no_token_is_logged_and_the_name_of_its_owner_is(
    guarded: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with guarded() as one:
        for name in one.texts:
            await one.code_of("/dragoman.v1.ModelService/ListModels", one.metadata(name))
        wrong = "dragoman_000000000000_" + "w" * 43
        await one.code_of(
            "/dragoman.v1.ModelService/ListModels", (("authorization", f"Bearer {wrong}"),)
        )
        shown = [
            f"{record.getMessage()} {getattr(record, 'fields', '')} {record.exc_text}"
            for record in caplog.records
        ]
        for text in (*one.texts.values(), wrong):
            assert not [line for line in shown if text in line or text[-43:] in line]
        fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
        assert [one.get("token") for one in fields[-4:]] == ["user", "admin", "both", None]
        assert [one["code"] for one in fields[-4:]] == ["OK"] * 3 + ["UNAUTHENTICATED"]


async def test_a_quota_ends_a_call_with_what_it_is_and_when_to_come_back(
    guarded: Callable[..., Any],
) -> None:
    async with guarded(calls_per_minute=3) as one:
        request = embedding_service_pb2.EmbedRequest(words=["cat"])
        embed = one.server.embedding.Embed
        for _ in range(3):
            await embed(request, metadata=one.metadata("user"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await embed(request, metadata=one.metadata("user"))
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        failed: Any = caught.value
        status = rpc_status.from_call(failed)
        assert status is not None
        failure, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(failure)
        assert status.details[1].Unpack(retry)
        assert failure.violations[0].subject == "token user"
        assert 0 < retry.retry_delay.seconds < 60
        await embed(request, metadata=one.metadata("both"))  # another caller


async def test_each_message_of_a_stream_counts(guarded: Callable[..., Any]) -> None:
    async with guarded(calls_per_minute=5) as one:
        embed = embedding_service_pb2.EmbedRequest(words=["cat"])
        request = embedding_service_pb2.EmbedStreamRequest(batch=embed)
        call = one.server.embedding.EmbedStream(iter([request] * 10), metadata=one.metadata("user"))
        read: list[Any] = []

        async def read_all() -> None:
            async for answer in call:
                read.append(answer)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_all()
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert len(read) <= 5


async def test_characters_count_too(guarded: Callable[..., Any]) -> None:
    async with guarded(characters_per_minute=10) as one:
        embed = one.server.embedding.Embed
        for words, code in ((["cat"] * 3, None), (["cat"], Code.RESOURCE_EXHAUSTED)):
            request = embedding_service_pb2.EmbedRequest(words=words)
            if code is None:
                await embed(request, metadata=one.metadata("user"))
            else:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await embed(request, metadata=one.metadata("user"))
                assert caught.value.code() is code


def test_without_tokens_only_this_machine_may_administer() -> None:
    load = "/dragoman.v1.ModelService/LoadModel"
    embed = "/dragoman.v1.EmbeddingService/Embed"
    here = Authorization(None, only_this_machine=True)
    network = Authorization(None, only_this_machine=False)
    assert here.grant_of(load, ()).scopes == frozenset(Scope)
    assert network.grant_of(embed, ()).scopes == {Scope.USE}
    with pytest.raises(AccessDeniedError, match="accepted_tokens"):
        network.grant_of(load, ())
    with pytest.raises(AccessDeniedError):
        network.grant_of("/grpc.channelz.v1.Channelz/GetServers", ())


async def test_channelz_tells_of_connections(server: RunningServer) -> None:
    await server.models.ListModels(model_service_pb2.ListModelsRequest())
    channel: Any = server.channel
    stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
    found = await stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0))
    assert sum(one.data.calls_started for one in found.server) > 0


@pytest.mark.parametrize(
    "name",
    ["../secrets", "/etc/passwd", "a/../b", "..", ".", "a\\b", "a\x00b", "a/1", ".hidden", "%2e%2e",
     "~root", "a\n", "C:\\x", "\uff41", "a" * 10_000],
)  # fmt: skip
async def test_no_path_can_be_written_as_the_name_of_a_model(
    server: RunningServer, name: str
) -> None:
    selector = model_pb2.ModelSelector(name=name)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.models.GetModel(model_service_pb2.GetModelRequest(model=selector))
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert "cannot name a model" in (caught.value.details() or "")
