"""Models come and go while the server answers: none of its calls fails for that."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from tests.server.live_repository import add_scaled, embed, live, serving

from dragoman_models.bundle import Bundle
from dragoman_models.registry import load_model
from dragoman_server.model_version import ModelState

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, RunningServer, ServerFactory

Code = grpc.StatusCode


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
