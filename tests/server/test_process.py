"""The server as a process of its own: its lines, its exit codes, its signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dragoman.v1 import embedding_service_pb2, embedding_service_pb2_grpc

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder

COMMAND = (sys.executable, "-m", "dragoman_server")


@contextmanager
def started(config: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running server and its address; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, "--config", str(config), "--address", "127.0.0.1:0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Dragoman is listening on 127.0.0.1:"), first
        yield process, first.split()[-1]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def config(bundles: BundleFolder) -> Path:
    """Settings of a server that serves only the test's own bundles."""
    path = bundles.path.parent / "dragoman.toml"
    path.write_text('shipped_models = false\nmodel_repositories = ["repository"]\n')
    return path


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_says_when_it_is_ready_serves_and_drains_on_sigterm(
    bundles: BundleFolder, config: Path
) -> None:
    bundles.add_word_vectors("animals", 1)
    (bundles.add_word_vectors("animals", 2) / "CARD.md").write_text("changed")
    with started(config) as (process, address):
        assert line_of(process) == "ready: 1 models, 1 refused"
        with grpc.insecure_channel(address) as channel:
            stub = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
            response = stub.Embed(embedding_service_pb2.EmbedRequest(words=["cat"]), timeout=60)
            assert response.results[0].word_vector.word.word == "cat"
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=60)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            # An open watch is told, and does not keep the server from ending.
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert process.wait(60) == 0
        _, log = process.communicate()
    assert "animals/2 is refused: CARD.md" in log
    assert "Traceback" not in log


def test_a_server_without_models_is_not_serving(config: Path) -> None:
    with started(config) as (process, address):
        assert line_of(process) == "ready: 0 models"
        with grpc.insecure_channel(address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            found = health.Check(health_pb2.HealthCheckRequest(service=""), timeout=60)
        assert found.status == health_pb2.HealthCheckResponse.NOT_SERVING
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_second_server_ends_with_a_clear_error(config: Path) -> None:
    with started(config) as (_, address):
        second = subprocess.run(
            [*COMMAND, "--config", str(config), "--address", address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert f"cannot listen on {address}: address already in use" in second.stderr
    assert "Traceback" not in second.stderr
    assert second.stdout == ""


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("colour = 1", 2, "dragoman: colour: there is no such setting"),
        ('model_repositories = ["missing"]', 1, "dragoman: model_repositories: "),
        (
            'shipped_models = false\n[default_models]\nembedding = "none"',
            1,
            "dragoman: default_models.embedding: ",
        ),
    ],
)
def test_wrong_settings_end_with_a_clear_error(
    config: Path, text: str, code: int, message: str
) -> None:
    config.write_text(text)
    ended = subprocess.run(
        [*COMMAND, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (code, "")
    errors = [line for line in ended.stderr.splitlines() if line.startswith("dragoman: ")]
    assert errors
    assert errors[0].startswith(message)
    assert "Traceback" not in ended.stderr
