"""Models loaded and unloaded by calls, pinned, and named by aliases."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.server.damaged_bundles import corrupt, make_foreign, make_oversized
from tests.server.live_repository import embed, live

from dragoman.v1 import model_pb2, model_service_pb2
from dragoman_models.bundle import Bundle
from dragoman_models.errors import ModelNotLoadedError
from dragoman_models.registry import load_model
from dragoman_server.errors import ConfigError
from dragoman_server.model_names import ModelNames
from dragoman_server.model_version import ModelState
from dragoman_server.served_families import EMBEDDING_SERVICE

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, ServerFactory

Code = grpc.StatusCode


def selector(name: str, version: int | None = None) -> model_pb2.ModelSelector:
    return model_pb2.ModelSelector(name=name, version=version)


def load_request(
    name: str, version: int | None = None, *, pin: bool = False
) -> model_service_pb2.LoadModelRequest:
    return model_service_pb2.LoadModelRequest(model=selector(name, version), pin=pin)


def unload_request(name: str, version: int | None = None) -> model_service_pb2.UnloadModelRequest:
    return model_service_pb2.UnloadModelRequest(model=selector(name, version))


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_unload_refuses_new_calls_until_load(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    for version in (1, 2):
        bundles.add_word_vectors("animals", version)
    one = await live(bundles.path)
    async with server_with(repository=one.repository, live=one.models) as server:
        (info,) = (await server.models.UnloadModel(unload_request("animals", 2))).models
        assert (info.version, info.state) == (2, model_pb2.MODEL_STATE_UNLOADED)
        assert not info.HasField("load_time")
        assert (await server.embedding.Embed(embed())).model.version == 1
        gone = await refusal(server.embedding.Embed(embed(version=2)))
        assert gone.code() is Code.FAILED_PRECONDITION
        assert "unloaded" in (gone.details() or "")
        await server.models.UnloadModel(unload_request("animals"))
        assert (await refusal(server.embedding.Embed(embed()))).code() is Code.FAILED_PRECONDITION
        await one.rest()  # what an operator has unloaded, no look at the disk loads again
        assert set(one.states().values()) == {ModelState.UNLOADED}
        loaded = (await server.models.LoadModel(load_request("animals"))).model
        assert (loaded.version, loaded.state) == (2, model_pb2.MODEL_STATE_READY)
        assert loaded.current
        assert (await server.embedding.Embed(embed())).model.version == 2
        again = await server.models.LoadModel(load_request("animals"))
        assert again.model == loaded


async def test_load_finds_what_was_just_copied(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    one = await live(bundles.path)
    async with server_with(repository=one.repository, live=one.models) as server:
        missing = await refusal(server.models.LoadModel(load_request("animals")))
        assert missing.code() is Code.NOT_FOUND
        for version in (3, 4):
            bundles.add_word_vectors("animals", version)
        first = (await server.models.LoadModel(load_request("animals", 3))).model
        assert first.state == model_pb2.MODEL_STATE_READY
        assert (await server.models.LoadModel(load_request("animals"))).model.version == 4


async def test_load_says_why_a_bundle_is_refused(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    corrupt(bundles.add_word_vectors("corrupt"))
    make_foreign(bundles.add_word_vectors("foreign"))
    make_oversized(bundles.add_word_vectors("large"))
    one = await live(bundles.path, largest_bytes=1_000_000)
    async with server_with(repository=one.repository, live=one.models) as server:
        for name, reason in (("corrupt", "checksum"), ("foreign", "SHA256SUMS")):
            refused = await refusal(server.models.LoadModel(load_request(name)))
            assert refused.code() is Code.FAILED_PRECONDITION
            assert reason in (refused.details() or "")
        refused = await refusal(server.models.LoadModel(load_request("large")))
        assert refused.code() is Code.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(refused)  # type: ignore[arg-type]
        failure = error_details_pb2.QuotaFailure()
        assert status is not None
        assert status.details[0].Unpack(failure)
        assert failure.violations[0].subject == "large/1"


@pytest.mark.parametrize(
    "name", ["", "../etc", "..", "a/b", "/etc/passwd", "A", "a\x00", "é", "%2e"]
)
async def test_names_that_are_paths_reach_no_disk(
    bundles: BundleFolder, server_with: ServerFactory, name: str
) -> None:
    bundles.add_word_vectors("animals")
    one = await live(bundles.path)
    async with server_with(repository=one.repository, live=one.models) as server:
        for call in (
            server.models.LoadModel(load_request(name)),
            server.models.UnloadModel(unload_request(name)),
        ):
            assert (await refusal(call)).code() is Code.INVALID_ARGUMENT


async def test_a_call_that_runs_when_its_model_is_unloaded_ends_well(
    server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    from dragoman.v1 import translation_service_pb2

    async with server_with() as server:
        server.translator.may_go_on.clear()
        request = translation_service_pb2.TranslateRequest(
            sources=[translation_service_pb2.TranslationSource(text="a b")]
        )
        running = asyncio.ensure_future(server.translation.Translate(request))
        await wait_until(lambda: bool(server.translator.calls))
        await server.models.UnloadModel(unload_request("backwards"))
        assert not running.done()
        late = await refusal(server.translation.Translate(request))
        assert late.code() is Code.FAILED_PRECONDITION
        server.translator.may_go_on.set()
        answer = await running
        assert answer.results[0].translation.hypotheses[0].text == "b a"


async def test_two_who_load_the_same_share_one_load(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")
    loads = 0

    def load(bundle: Bundle) -> object:
        nonlocal loads
        loads += 1
        time.sleep(0.05)
        return load_model(bundle)

    one = await live(bundles.path, load=load)
    await one.models.unload("animals", None)
    found = await asyncio.gather(*(one.models.load("animals", None, pin=False) for _ in range(5)))
    assert loads == 2
    assert all(version.model is found[0].model for version in found)


# --- pins and aliases ---


async def test_a_pin_holds_against_higher_versions_until_it_is_unloaded(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    for version in (1, 2):
        bundles.add_word_vectors("animals", version)
    one = await live(bundles.path)
    async with server_with(repository=one.repository, live=one.models) as server:
        pinned = (await server.models.LoadModel(load_request("animals", 1, pin=True))).model
        assert (pinned.pinned, pinned.current) == (True, True)
        bundles.add_word_vectors("animals", 3)
        await one.rest()
        assert (await server.embedding.Embed(embed())).model.version == 1
        assert (await server.embedding.Embed(embed(version=3))).model.version == 3
        await server.models.UnloadModel(unload_request("animals", 1))
        assert (await server.embedding.Embed(embed())).model.version == 3


async def test_a_version_pinned_in_the_settings_or_none(bundles: BundleFolder) -> None:
    first = bundles.add_word_vectors("animals", 1)
    bundles.add_word_vectors("animals", 2)
    one = await live(bundles.path, names=ModelNames(pinned={"animals": 1}))
    assert one.repository.select(EMBEDDING_SERVICE, "", None).version == 1
    await one.models.load("animals", 2, pin=True)  # a call's pin comes first
    assert one.current() == 2
    await one.models.unload("animals", 2)
    assert one.current() == 1
    shutil.rmtree(first)
    await one.models.load("animals", 2, pin=False)
    await one.rest()
    assert one.current() is None
    with pytest.raises(ModelNotLoadedError, match="pinned to version 1, which is not in"):
        one.repository.select(EMBEDDING_SERVICE, "animals", None)
    assert one.repository.select(EMBEDDING_SERVICE, "animals", 2).version == 2


async def test_an_alias_is_another_name_for_a_model_or_a_version(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    for version in (1, 2):
        bundles.add_word_vectors("animals", version)
    names = ModelNames({"stable": "animals/1", "newest": "animals"})
    one = await live(bundles.path, names=names)
    async with server_with(repository=one.repository, live=one.models) as server:
        for name, expected in (("stable", 1), ("newest", 2)):
            answer = await server.embedding.Embed(embed(name))
            assert (answer.model.name, answer.model.version) == ("animals", expected)
        assert (await server.embedding.Embed(embed("newest", 1))).model.version == 1
        other = await refusal(server.embedding.Embed(embed("stable", 2)))
        assert other.code() is Code.INVALID_ARGUMENT
        assert "alias of animals/1" in (other.details() or "")
        listed = (await server.models.ListModels(model_service_pb2.ListModelsRequest())).models
        assert [list(info.aliases) for info in listed] == [["newest", "stable"], ["newest"]]
        (unloaded,) = (await server.models.UnloadModel(unload_request("stable"))).models
        assert unloaded.version == 1


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ({"../x": "animals"}, "cannot name a model"),
        ({"x": "../animals"}, "give NAME or NAME/VERSION"),
        ({"x": "animals/0"}, "give NAME or NAME/VERSION"),
        ({"x": "animals/"}, "give NAME or NAME/VERSION"),
        ({"x": "animals/9"}, "animals/9, but it has the versions 1, 2"),
        ({"x": "plants"}, "there is no such model; choose from: animals"),
        ({"x": "y", "y": "animals"}, "which is an alias too"),
        ({"x": "x"}, "which is an alias too"),
    ],
)
async def test_an_alias_that_leads_nowhere_names_the_setting(
    bundles: BundleFolder, aliases: dict[str, str], message: str
) -> None:
    for version in (1, 2):
        bundles.add_word_vectors("animals", version)
    with pytest.raises(ConfigError, match=rf"models\.aliases: .*{re.escape(message)}"):
        await live(bundles.path, names=ModelNames(aliases))


async def test_a_pin_on_nothing_names_the_setting(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")
    with pytest.raises(ConfigError, match=r"models\.pinned: animals has no version 7"):
        await live(bundles.path, names=ModelNames(pinned={"animals": 7}))


async def test_a_default_stays_when_a_second_model_comes(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")
    one = await live(bundles.path)
    bundles.add_word_vectors("aardvarks")
    await one.rest()
    assert one.repository.default_name(EMBEDDING_SERVICE) == "animals"
    shutil.rmtree(bundles.path / "animals")
    await one.rest()
    assert one.repository.default_name(EMBEDDING_SERVICE) == "aardvarks"
