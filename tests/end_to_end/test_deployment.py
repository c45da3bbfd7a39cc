"""The deployment files: that they parse, ask for no rights, and that their commands work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dragoman_client import Client, Tls
from dragoman_client.cli import command

if TYPE_CHECKING:
    from tests.conftest import Authority

DEPLOY = Path(__file__).parents[2] / "deploy"
DRAGOMAN = (sys.executable, "-m", "dragoman_client")
COMPOSE: Any = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["dragoman"]
KUBERNETES: list[Any] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
POD: Any = KUBERNETES[1]["spec"]["template"]["spec"]
CONTAINER: Any = POD["containers"][0]


def test_nothing_asks_for_rights() -> None:
    for context in (POD["securityContext"], CONTAINER["securityContext"]):
        assert context.get("runAsNonRoot", True)
        assert context.get("runAsUser", 10001) == 10001
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not POD["automountServiceAccountToken"]
    assert COMPOSE["user"] == "10001:10001"
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert COMPOSE["read_only"]
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM")) :]
    assert [line for line in last_stage if line.startswith("USER")] == ["USER 10001:10001"]
    assert last_stage.index("USER 10001:10001") < last_stage.index('ENTRYPOINT ["dragoman"]')


def test_ports_probes_and_mounts_belong_together() -> None:
    ports = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
    options = dict(one.split("=") for one in CONTAINER["args"] if "=" in one)
    assert options["--address"].endswith(f":{ports['grpc']}")
    assert options["--health-address"].endswith(f":{ports['health']}")
    assert options["--metrics-address"].endswith(f":{ports['metrics']}")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["grpc"]["port"] == ports["health"]
    mounts = [one["mountPath"] for one in CONTAINER["volumeMounts"]]
    for path in (value for value in options.values() if value.startswith("/")):
        assert any(path.startswith(mount) for mount in mounts), path
    assert {one["name"] for one in CONTAINER["volumeMounts"]} == {
        one["name"] for one in POD["volumes"]
    }
    service, deployment = KUBERNETES
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
    exposed = re.search(r"^EXPOSE (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed is not None
    assert set(map(int, exposed[1].split())) == set(ports.values())


@contextmanager
def started(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*DRAGOMAN, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            env=os.environ | {"DRAGOMAN_SHIPPED_MODELS": "false"},
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def test_the_commands_of_the_files_serve_and_answer_their_probes(
    new_authority: Callable[[str], Authority],
    repository: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The arguments of kubernetes.yaml with other folders and free ports, and its probes."""
    authority = new_authority("ours")
    certificate, key = authority.issue("server")
    tokens = tmp_path / "tokens.json"
    with pytest.raises(SystemExit):
        command()(["token", "create", "--name", "ci", "--file", str(tokens)], prog_name="dragoman")
    token = capfd.readouterr().out.strip()
    places = {
        "/models": repository,
        "/etc/dragoman/tls/tls.crt": certificate,
        "/etc/dragoman/tls/tls.key": key,
        "/etc/dragoman/tokens/tokens.json": tokens,
    }
    arguments = [_placed(one, places) for one in CONTAINER["args"]]
    log = tmp_path / "server.log"
    with started(arguments, log) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Dragoman is listening on 0.0.0.0:"), log.read_text()
        port = first.rpartition(":")[2].strip()
        assert process.stdout.readline().startswith("ready: 1 models")
        found = re.search(r"health is served at 0\.0\.0\.0:(\d+)", log.read_text())
        assert found is not None
        health = f"127.0.0.1:{found[1]}"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = CONTAINER[probe]["grpc"].get("service", "")
            assert _status(health, asked) == health_pb2.HealthCheckResponse.SERVING
        test = [one.replace("127.0.0.1:50052", health) for one in COMPOSE["healthcheck"]["test"]]
        assert test[:2] == ["CMD", "dragoman"]
        with pytest.raises(SystemExit) as ended:
            command()(test[2:], prog_name="dragoman")
        assert (ended.value.code or 0, capfd.readouterr().out) == (0, "serving\n")
        # Nothing but health is answered there, and everything else needs TLS and a token.
        with grpc.insecure_channel(health) as channel:
            call: Any = channel.unary_unary("/dragoman.v1.ModelService/ListModels")
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                call(b"", timeout=30)
        tls = Tls(ca_file=authority.ca_file)
        with Client(f"127.0.0.1:{port}", tls=tls, token=token) as client:
            assert [one.name for one in client.list_models()] == ["babel"]
        process.terminate()
        assert process.wait(60) == 0
    lines = log.read_text().splitlines()
    assert all(line.startswith('{"time": ') for line in lines), lines
    assert token not in log.read_text()


def _placed(argument: str, places: dict[str, Path]) -> str:
    """An argument with a free port, and a folder of the test for that of the container."""
    name, equals, value = argument.partition("=")
    if name.endswith("address"):
        value = f"{value.rpartition(':')[0]}:0"
    return f"{name}{equals}{places.get(value, value)}"


def _status(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
    return int(answer.status)


def test_the_command_of_compose_has_the_same_options() -> None:
    def names(arguments: list[str]) -> set[str]:
        return {one.partition("=")[0] for one in arguments}

    only_kubernetes = {"--metrics-address", "--allow-metrics-on-network"}
    assert names(COMPOSE["command"]) == names(CONTAINER["args"]) - only_kubernetes
    mounts = {one.split(":")[1] for one in COMPOSE["volumes"]}
    paths = [one.partition("=")[2] for one in COMPOSE["command"] if "=/" in one]
    assert all(any(path.startswith(mount) for mount in mounts) for path in paths)
