"""Settings of Ray: what is wrong is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragoman_server.config import ServerSettings, load_settings
from dragoman_server.errors import ConfigError
from dragoman_server.grpc_server import build_server
from dragoman_server.model_repository import ModelRepository


def read(folder: Path, text: str) -> ServerSettings:
    file = folder / "dragoman.toml"
    file.write_text(text)
    return load_settings(file)


def test_the_same_file_chooses_the_engine(tmp_path: Path) -> None:
    assert read(tmp_path, "").engine == "workers"
    settings = read(
        tmp_path,
        """
        engine = "ray"
        [ray]
        address = "10.0.0.1:6379"
        [ray.translation]
        cpus = 2
        [ray.translation.autoscaling]
        max_replicas = 12
        [ray.language_model]
        replicas = 3
        [ray.vision]
        replicas = 4
        [workers]
        vision = 9
        """,
    )
    assert not settings.ray.is_local
    assert settings.image_processes() == 4
    assert settings.ray.of_family("object_detector").replicas == 4
    assert settings.ray.of_family("translation").cpus == 2
    assert settings.ray.table("image_embedder") == "vision"
    assert settings.processes() == {"translation": 12, "language_model": 3}
    assert settings.ray.language_model.max_ongoing_requests == 64


def test_the_environment_sets_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_ENGINE", "ray")
    monkeypatch.setenv("DRAGOMAN_RAY__TRANSLATION__REPLICAS", "5")
    assert load_settings().processes()["translation"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('engine = "rey"', "engine: input should be 'workers' or 'ray'"),
        ('[ray]\naddress = "ray://head:10001"', "ray: address is that of a Ray client"),
        ('[ray]\naddress = ""', r"ray\.address: string should have at least 1 character"),
        ('[ray]\naddress = "two words"', r"ray\.address: string should match"),
        ("[ray]\nstart_seconds = 0", r"ray\.start_seconds: input should be greater than 0"),
        (
            "[ray.translation]\nreplicas = 0",
            r"ray\.translation\.replicas: .* greater than or",
        ),
        ("[ray.translation]\ncpus = -1", r"ray\.translation\.cpus: "),
        ("[ray.translation]\ncpus = nan", r"ray\.translation\.cpus: "),
        (
            "[ray.translation]\nreplicas = 2\nautoscaling.max_replicas = 3",
            r"ray\.translation: replicas and autoscaling exclude each other",
        ),
        (
            "[ray.language_model.autoscaling]\nmin_replicas = 4\nmax_replicas = 3",
            r"ray\.language_model\.autoscaling: min_replicas is more than max_replicas",
        ),
        (
            "[ray.translation.autoscaling]\nmax_replicas = 3\ntarget_ongoing_requests = 9",
            r"ray\.translation: autoscaling\.target_ongoing_requests is more than max_ongoing",
        ),
        ("[ray.translation.autoscaling]", r"ray\.translation\.autoscaling\.max_replicas: field re"),
        (
            "[ray.translation]\nreplica = 2",
            r"ray\.translation\.replica: there is no such setting.*the settings here are replicas",
        ),
        ("[ray]\nadress = 1", r"ray\.adress: there is no such setting.*here are address"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman_server.config.ray_is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"engine: .*pip install 'dragoman\[ray\]'"):
        read(tmp_path, 'engine = "ray"')
    assert read(tmp_path, 'engine = "workers"').engine == "workers"


async def test_as_many_batches_run_as_a_model_may_have_replicas() -> None:
    settings: dict[str, Any] = {"engine": "ray", "ray": {"translation": {"replicas": 7}}}
    settings["ray"]["vision"] = {"autoscaling": {"max_replicas": 5}}
    parts = build_server(ServerSettings(**settings), ModelRepository([]))
    models, _, images = parts.queues
    assert (models.batcher._workers, images.batcher._workers) == (7, 5)
    await parts.server.stop(0)
    parts.scoring_process.stop()
