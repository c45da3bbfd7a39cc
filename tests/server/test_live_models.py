"""Models come and go while the server answers: none of its calls fails for that."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from dragoman.v1 import embedding_service_pb2, model_pb2, model_service_pb2
from dragoman_models.bundle import Bundle
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import BundleError, ModelNotLoadedError
from dragoman_models.registry import load_model
from dragoman_models.vocabulary import Vocabulary
from dragoman_server.bundle_loading import BundleLoader
from dragoman_server.errors import ConfigError
from dragoman_server.live_models import LiveModels
from dragoman_server.model_names import ModelNames
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState
from dragoman_server.repository_scan import RepositoryFolders, peek
from dragoman_server.repository_watch import RepositoryWatcher
from dragoman_server.served_families import EMBEDDING_SERVICE

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, RunningServer, ServerFactory

Code = grpc.StatusCode


@dataclass(frozen=True, kw_only=True)
class Live:
    """A repository on disk with all that follows it; a test says when to look."""

    repository: ModelRepository
    models: LiveModels
    watcher: RepositoryWatcher

    async def rest(self) -> None:
        """What a folder that rests has to wait for: two looks that agree."""
        await self.watcher.look()
        await self.watcher.look()

    def states(self) -> dict[str, ModelState]:
        return {str(version): version.state for version in self.repository.versions()}

    def current(self, name: str = "animals") -> int | None:
        found = self.repository.current(name)
        return None if found is None else found.version


async def live(*folders: Path, names: ModelNames | None = None, **options: Any) -> Live:
    looked_at = RepositoryFolders(folders)
    found = looked_at.scan().found
    repository = ModelRepository([peek(found[key]) for key in sorted(found)], names=names)
    models = LiveModels(repository, loader=BundleLoader(**options), folders=looked_at)
    await models.load_all()
    watcher = RepositoryWatcher(models, looked_at, 0.01)
    return Live(repository=repository, models=models, watcher=watcher)


@asynccontextmanager
async def serving(server_with: ServerFactory, one: Live) -> AsyncIterator[RunningServer]:
    """A server of the repository, which is looked at all the time."""
    async with server_with(repository=one.repository, live=one.models) as server:
        watching = asyncio.create_task(one.watcher.run())
        yield server
        watching.cancel()


def embed(name: str = "animals", version: int | None = None) -> embedding_service_pb2.EmbedRequest:
    return embedding_service_pb2.EmbedRequest(
        words=["cat"], model=model_pb2.ModelSelector(name=name, version=version)
    )


def add_scaled(bundles: BundleFolder, version: int, factor: float, rows: int = 6) -> Path:
    """Vectors of which every component of "cat" is ``factor``."""
    folder = bundles.path / "animals" / str(version)
    words = ("cat", *(f"w{row}" for row in range(1, rows)))
    matrix = np.full((rows, 3), factor, np.float32)
    write_word_vectors(
        folder, WordVectors(Vocabulary(words), matrix), encoding=VectorEncoding.FLOAT32,
        details={}, metrics={}, card="# Scaled\n",
    )  # fmt: skip
    return folder


# --- coming ---


async def test_a_new_version_takes_over_and_leaves_when_its_folder_does(
    bundles: BundleFolder,
) -> None:
    bundles.add_word_vectors("animals", 1)
    one = await live(bundles.path)
    second = bundles.add_word_vectors("animals", 2)
    bundles.add_word_vectors("plants", 1)
    await one.rest()
    assert one.states() == dict.fromkeys(("animals/1", "animals/2", "plants/1"), ModelState.READY)
    assert one.current() == 2
    shutil.rmtree(second)
    await one.rest()
    assert (list(one.states()), one.current()) == (["animals/1", "plants/1"], 1)


async def test_no_call_fails_while_twenty_versions_come_and_go(
    bundles: BundleFolder, server_with: ServerFactory, wait_until: Callable[..., Any]
) -> None:
    add_scaled(bundles, 1, 1.0)
    one = await live(bundles.path)
    answers: list[tuple[int, float]] = []

    async def call_for_ever(server: RunningServer) -> None:
        while True:
            answer = await server.embedding.Embed(embed())
            (result,) = answer.results
            answers.append((answer.model.version, result.word_vector.vector.values[0]))

    async with serving(server_with, one) as server:
        callers = [asyncio.create_task(call_for_ever(server)) for _ in range(3)]
        for version in range(2, 22):
            add_scaled(bundles, version, float(version))
            await wait_until(lambda version=version: one.current() == version, 60)
            shutil.rmtree(bundles.path / "animals" / str(version - 1))
        await wait_until(lambda: one.states() == {"animals/21": ModelState.READY}, 60)
        done = len(answers)
        await wait_until(lambda: len(answers) > done + 3, 60)
        assert not any(caller.done() for caller in callers)  # a failed call would have ended it
        for caller in callers:
            caller.cancel()
    assert all(version == value for version, value in answers)  # each by the weights it names
    assert answers[-1][0] == 21


async def test_a_folder_replaced_under_the_same_number_is_loaded_anew(
    bundles: BundleFolder,
) -> None:
    folder = add_scaled(bundles, 1, 1.0)
    one = await live(bundles.path)
    old = one.repository.describe("animals", 1)
    shutil.rmtree(folder)
    add_scaled(bundles, 1, 5.0)
    await one.rest()
    new = one.repository.describe("animals", 1)
    (cat,) = new.model.embed(["cat"])
    assert cat.vector[0] == 5.0
    (cat,) = old.model.embed(["cat"])  # whoever has it still answers by it
    assert cat.vector[0] == 1.0


async def test_touched_files_are_not_loaded_anew(bundles: BundleFolder) -> None:
    folder = bundles.add_word_vectors("animals", 1)
    one = await live(bundles.path)
    before = one.repository.describe("animals", 1)
    (folder / "CARD.md").touch()
    await one.rest()
    after = one.repository.describe("animals", 1)
    assert after.model is before.model
    assert after.signature != before.signature  # and are not read again either


async def test_half_a_copy_is_waited_for(bundles: BundleFolder, tmp_path: Path) -> None:
    whole = bundles.add_word_vectors("animals", 1)
    moved = tmp_path / "elsewhere"
    shutil.move(whole.parent, moved)
    one = await live(bundles.path)
    whole.mkdir(parents=True)
    for file in sorted((moved / "1").iterdir()):
        shutil.copy(file, whole)
        await one.watcher.look()
        assert one.states() == {}
    await one.rest()
    assert one.states() == {"animals/1": ModelState.READY}


async def test_what_changes_while_it_is_read_is_read_again(bundles: BundleFolder) -> None:
    folder = bundles.add_word_vectors("animals", 1)
    loads = 0

    def load(bundle: Bundle) -> object:
        nonlocal loads
        loads += 1
        if loads == 1:
            (folder / "CARD.md").touch()
        return load_model(bundle)

    one = await live(bundles.path, load=load)
    assert "changed while it was read" in one.repository.describe("animals", 1).failure_reason
    await one.rest()
    assert one.states() == {"animals/1": ModelState.READY}


# --- refused ---


def corrupt(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x77")


def truncate(folder: Path) -> None:
    os.truncate(folder / "weights.safetensors", 100)


def make_foreign(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")


def make_oversized(folder: Path) -> None:
    with (folder / "weights.safetensors").open("r+b") as file:
        file.truncate(50_000_000_000)  # a hole: it takes no space, and no time as it is not read


def make_endless(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    os.mkfifo(folder / "CARD.md")


def point_outside(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    (folder / "CARD.md").symlink_to("/etc/passwd")


BROKEN = [
    (corrupt, "does not match its checksum"),
    (truncate, "cut short: 100 of "),
    (make_foreign, "SHA256SUMS is missing"),
    (make_oversized, r"this server loads at most 1,000,000; .*largest_bundle_bytes"),
    (make_endless, "not a regular file"),
    (point_outside, "leads out of the bundle"),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
async def test_a_bad_version_is_refused_with_its_reason_while_the_old_one_answers(
    bundles: BundleFolder,
    server_with: ServerFactory,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    bundles.add_word_vectors("animals", 1)
    one = await live(bundles.path, largest_bytes=1_000_000)
    damage(bundles.add_word_vectors("animals", 2))
    await one.rest()
    assert one.states() == {"animals/1": ModelState.READY, "animals/2": ModelState.FAILED}
    async with server_with(repository=one.repository, live=one.models) as server:
        listed = await server.models.ListModels(
            model_service_pb2.ListModelsRequest(states=[model_pb2.MODEL_STATE_FAILED])
        )
        assert (await server.embedding.Embed(embed())).model.version == 1
        request = model_service_pb2.GetModelRequest(
            model=model_pb2.ModelSelector(name="animals", version=2)
        )
        assert "root:" not in (await server.models.GetModel(request)).card
    (refused,) = listed.models
    assert re.search(reason, refused.failure_reason)
    assert f"model animals/2 is refused: {refused.failure_reason}" in caplog.text


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
async def test_a_version_whose_own_folder_goes_bad_answers_as_before(
    bundles: BundleFolder, damage: Callable[[Path], None], reason: str
) -> None:
    folder = add_scaled(bundles, 1, 3.0, rows=2_000)
    one = await live(bundles.path, largest_bytes=1_000_000)
    damage(folder)
    await one.rest()
    version = one.repository.select(EMBEDDING_SERVICE, "animals", None)
    assert re.search(reason, version.failure_reason)
    # All of it is still there: what it has mapped is not what was damaged.
    found = version.model.embed([f"w{row}" for row in range(1, 2_000)])
    assert all((one_word.vector == 3.0).all() for one_word in found)


async def test_a_refused_bundle_is_tried_again_only_when_its_folder_changes(
    bundles: BundleFolder,
) -> None:
    folder = bundles.add_word_vectors("animals", 1)
    kept = (folder / "CARD.md").read_bytes()
    (folder / "CARD.md").write_bytes(b"edited")
    tried = 0

    class Counting(BundleLoader):
        async def loaded(self, *arguments: Any) -> Any:
            nonlocal tried
            tried += 1
            return await super().loaded(*arguments)

    looked_at = RepositoryFolders([bundles.path])
    repository = ModelRepository([peek(one) for one in looked_at.scan().found.values()])
    models = LiveModels(repository, loader=Counting(), folders=looked_at)
    await models.load_all()
    watcher = RepositoryWatcher(models, looked_at, 1.0)
    for _ in range(5):
        await watcher.look()
    assert tried == 1
    (folder / "CARD.md").write_bytes(kept)
    for _ in range(5):
        await watcher.look()
    assert tried == 2
    assert repository.describe("animals", 1).state is ModelState.READY


async def test_what_was_refused_for_a_reason_that_is_over_is_loaded_when_asked_for(
    bundles: BundleFolder,
) -> None:
    """Such as a full disk: the folder itself has not changed."""
    bundles.add_word_vectors("animals", 1)
    full = True

    def load(bundle: Bundle) -> object:
        if full:
            raise BundleError(bundle.path, "there is no space left")
        return load_model(bundle)

    looked_at = RepositoryFolders([bundles.path])
    repository = ModelRepository([peek(one) for one in looked_at.scan().found.values()])
    models = LiveModels(repository, loader=BundleLoader(load=load), folders=looked_at)
    await models.load_all()
    with pytest.raises(ModelNotLoadedError, match="no space"):
        await models.load("animals", None, pin=False)
    full = False
    loaded = await models.load("animals", None, pin=False)
    assert (loaded.state, loaded.failure_reason) == (ModelState.READY, "")
    assert repository.select(EMBEDDING_SERVICE, "animals", None).version == 1


async def test_a_bundle_that_never_loads_holds_up_no_other(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("stuck", 1)
    bundles.add_word_vectors("sound", 1)
    never = threading.Event()

    def load(bundle: Bundle) -> object:
        if bundle.name == "stuck":
            never.wait()
        return load_model(bundle)

    one = await live(bundles.path, load=load, timeout_seconds=1.0)
    assert one.states() == {"sound/1": ModelState.READY, "stuck/1": ModelState.FAILED}
    assert "longer than 1 s" in one.repository.describe("stuck", 1).failure_reason
    never.set()


@pytest.mark.parametrize("loss", ["removed", "unmounted"])
async def test_a_repository_that_is_lost_as_a_whole_unloads_nothing(
    bundles: BundleFolder, tmp_path: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles.add_word_vectors("animals", 1)
    one = await live(bundles.path)
    aside = tmp_path / "aside"
    bundles.path.rename(aside)
    if loss == "unmounted":  # what is then seen is the empty folder of another disk
        bundles.path.mkdir()
        watched: Any = one.watcher
        monkeypatch.setattr(watched._folders, "_devices", {bundles.path: -1})
    await one.rest()
    assert one.states() == {"animals/1": ModelState.READY}
    if loss == "unmounted":
        bundles.path.rmdir()
    aside.rename(bundles.path)
    shutil.rmtree(bundles.path / "animals")
    await one.rest()
    if loss == "removed":
        assert one.states() == {}


# --- loaded and unloaded by calls ---


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


# --- memory ---


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_fifty_reloads_leave_no_model_and_no_memory_behind(
    bundles: BundleFolder, wait_until: Callable[..., Any]
) -> None:
    rows = 20_000  # 2 MB of vectors, and what is made of them
    add_scaled(bundles, 1, 1.0, rows)
    one = await live(bundles.path)
    seen: list[weakref.ref[Any]] = []

    async def reload(version: int) -> None:
        add_scaled(bundles, version, float(version), rows)
        await one.models.load("animals", version, pin=False)
        seen.append(weakref.ref(one.repository.describe("animals", version - 1).model))
        shutil.rmtree(bundles.path / "animals" / str(version - 1))
        await one.rest()

    gc.disable()  # a model must not need to be found by the collector
    try:
        for version in range(2, 12):
            await reload(version)
        await asyncio.sleep(0.5)
        before = resident_bytes()
        for version in range(12, 52):
            await reload(version)
        await wait_until(lambda: not any(reference() for reference in seen))
    finally:
        gc.enable()
    await asyncio.sleep(0.5)  # for the memory to be given back
    assert len(one.states()) == 1
    grown = resident_bytes() - before
    assert grown < 40_000_000, f"{grown:,} bytes are left of 40 models of some 5,000,000"
