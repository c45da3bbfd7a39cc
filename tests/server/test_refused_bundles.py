"""A bundle that is damaged, endless or gone is refused with its reason, and harms no other."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tests.server.damaged_bundles import (
    corrupt,
    make_endless,
    make_foreign,
    make_oversized,
    point_outside,
    truncate,
)
from tests.server.live_repository import add_scaled, embed, live

from dragoman.v1 import model_pb2, model_service_pb2
from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError, ModelNotLoadedError
from dragoman_models.registry import load_model
from dragoman_server.bundle_loading import BundleLoader
from dragoman_server.live_models import LiveModels
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState
from dragoman_server.repository_scan import RepositoryFolders, peek
from dragoman_server.repository_watch import RepositoryWatcher
from dragoman_server.served_families import EMBEDDING_SERVICE

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, ServerFactory

Code = grpc.StatusCode


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
