"""A Ray that is late to start is started again; a cluster that is not there is not asked twice."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from dragoman_server.ray_engine.ray_session import RaySession
from dragoman_server.ray_engine.ray_settings import RaySettings


@pytest.mark.parametrize(
    ("address", "failures", "tries"),
    [("local", 0, 1), ("local", 2, 3), ("local", 9, 3), ("h:1", 9, 1)],
)
def test_tries_to_start(
    monkeypatch: pytest.MonkeyPatch, address: str, failures: int, tries: int
) -> None:
    session = RaySession(RaySettings(address=address))
    monkeypatch.setattr(session, "_own_ray", lambda: {"num_cpus": 1})
    ended: list[str] = []
    asked: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        asked.append(options)
        if len(asked) <= failures:
            raise RuntimeError("late")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append("shutdown"))
    if failures < tries:
        session._connect()
    else:
        with pytest.raises(RuntimeError, match="late"):
            session._connect()
    assert len(asked) == tries
    assert len(ended) == tries - 1  # nothing of a failed start is left for the next
    assert all(options["address"] == address for options in asked)
    assert ("num_cpus" in asked[0]) == (address == "local")
