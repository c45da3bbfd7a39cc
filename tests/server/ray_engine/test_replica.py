"""A replica as Ray Serve makes it, with a board of this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from tests.server.vision.fake_models import encoded, image_of, load_fake, write_fake

from dragoman_models.bundle import read_bundle
from dragoman_models.errors import InvalidInputError
from dragoman_server.ray_engine import replica as replica_module
from dragoman_server.ray_engine.replica import Replica
from dragoman_server.ray_engine.stored_bundle import StoredBundle, stored
from dragoman_server.workers.messages import Call, Cancelling, Reply
from dragoman_server.workers.shared_bundle import whole


class FakeBoard:
    """Answers at once; what it answers is what `ray.get` gets."""

    def __init__(self, bundle: StoredBundle) -> None:
        self.reports: list[Reply] = []
        self.bundle = SimpleNamespace(remote=lambda _: [bundle])
        self.report = SimpleNamespace(remote=lambda _, reply: self.reports.append(reply))
        self.after = SimpleNamespace(remote=lambda _: self._until_gone)
        self.gone = threading.Event()

    def _until_gone(self) -> Exception:
        self.gone.wait()
        return ray.exceptions.RayError()


def get(answer: Any, timeout: float | None = None) -> Any:
    if callable(answer):
        answer = answer()
    if isinstance(answer, Exception):
        raise answer
    return answer


async def test_images_are_looked_at_by_a_thread_that_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fake(tmp_path / "image_classifier" / "1", "image_classifier")
    given = whole(read_bundle(tmp_path / "image_classifier" / "1"))
    board = FakeBoard(stored(given))
    os.close(given.descriptor)
    fake = SimpleNamespace(get_actor=lambda *_, **__: board, get=get, exceptions=ray.exceptions)
    monkeypatch.setattr(replica_module, "ray", fake)
    replica = Replica("board", 1, load_fake, 1, 3)
    assert [one.error for one in board.reports] == [None]
    contents = [encoded(image_of(9, 200, 9)), b"no image"]
    request = Call(
        model=1, method="classify", arguments=(contents,), options={"top_k": 1},
        cancelling=Cancelling.EACH,
    )  # fmt: skip
    reply = await replica.call("a", request)
    found, bad = reply.value
    assert found[0].label == "green"
    assert isinstance(bad, InvalidInputError)
    thread = replica._compute.submit(threading.get_native_id).result()
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert os.getpriority(os.PRIO_PROCESS, thread) == min(ours + 3, 19)
    replica._compute.shutdown()
    board.gone.set()
