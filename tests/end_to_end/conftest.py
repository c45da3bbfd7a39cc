"""The real server as a process, with the shipped models and a small translator beside them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
import pytest
import torch

from dragoman_client import Client
from dragoman_models.bundle import write_bundle
from dragoman_models.tokenizer import EOS, train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork

DRAGOMAN = (sys.executable, "-m", "dragoman_client")

# Random weights of this name: it translates nothing, but it does all a translator does, and never
# ends a sentence by itself, so that max_length decides how long a call takes.
TRANSLATOR = "babel"

# TEST_ENGINE=ray: every server of these tests has its models in replicas of Ray Serve, each of them
# a process that imports torch, on however busy a machine.
ENGINE = (
    {
        "DRAGOMAN_ENGINE": os.environ["TEST_ENGINE"],
        "DRAGOMAN_RAY__START_SECONDS": "1500",
        "DRAGOMAN_MODELS__LOAD_TIMEOUT_SECONDS": "1500",
    }
    if "TEST_ENGINE" in os.environ
    else {}
)


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server process that listens at ``address``."""

    process: subprocess.Popen[str]
    address: str
    log: Path

    def next_line(self) -> str:
        """The next line of its standard output; empty when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@contextmanager
def running_server(folder: Path, *flags: str) -> Iterator[RunningServer]:
    """Starts ``dragoman serve`` on a free port and waits until it listens; ends it by force."""
    log = folder / "server.log"
    with log.open("w", encoding="utf-8") as errors:
        process = _started(["serve", "--address", "127.0.0.1:0", *flags], errors)
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("Dragoman is listening on 127.0.0.1:"), log.read_text()
            yield RunningServer(process=process, address=first.split()[-1], log=log)
        finally:
            process.kill()
            process.communicate()


def _started(arguments: Sequence[str], errors: IO[str]) -> subprocess.Popen[str]:
    # Models in the server's own process: each process more takes seconds to start.
    families = ("TRANSLATION", "LANGUAGE_MODEL", "VISION")
    workers = {f"DRAGOMAN_WORKERS__{family}": "0" for family in families}
    return subprocess.Popen(
        [*DRAGOMAN, *arguments], stdout=subprocess.PIPE, stderr=errors, encoding="utf-8",
        env={**workers, **ENGINE, **os.environ},
    )  # fmt: skip


def write_translator(folder: Path) -> None:
    """Writes the bundle of a small translator with random weights."""
    torch.manual_seed(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"{first}{vowel}{last}" for first in letters for vowel in "aeiou" for last in "nst"]
    sentences = [f"{words[i]} {words[-i]} the {words[i // 2]}." for i in range(len(words))]
    tokenizer = train_tokenizer(sentences, vocabulary_size=350)
    config = NetworkConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        embedding_size=16,
        encoder_size=16,
        decoder_size=32,
    )
    network = TranslationNetwork(config)
    with torch.no_grad():
        network.output_bias[EOS] = -100.0
    write_bundle(
        folder,
        config={
            "family": "translation",
            "description": "Random weights.",
            "source_languages": ["fr"],
            "target_languages": ["en"],
            "vocabulary_size": config.vocabulary_size,
            "network": config.model_dump(),
        },
        tensors=network.state_dict(),
        files={"tokenizer.model": tokenizer.model_bytes},
        metrics={},
        card="# babel\n\nRandom weights, to test with.\n",
    )


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles that holds the small translator."""
    folder = tmp_path_factory.mktemp("repository")
    write_translator(folder / TRANSLATOR / "1")
    return folder


@pytest.fixture(scope="session")
def damaged_repository(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles that holds a damaged one."""
    folder = tmp_path_factory.mktemp("repository")
    damaged = folder / "damaged" / "1"
    shutil.copytree(repository / TRANSLATOR / "1", damaged)
    (damaged / "weights.safetensors").write_bytes(b"rotten")
    return folder


@pytest.fixture(scope="session")
def server(
    repository: Path, damaged_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """One server for all tests that do not end it; what it logs must hold no traceback."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "dragoman.toml"
    config.write_text(f'[default_models]\ntranslation = "{TRANSLATOR}"\n')
    folders = ("--models", str(repository), "--models", str(damaged_repository))
    with running_server(folder, "--config", str(config), *folders) as running:
        assert running.next_line().startswith("ready: ")
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text(encoding="utf-8")


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """A channel for generated stubs, without any of the client's own settings."""
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="session")
def start_server(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[RunningServer]]:
    """Starts another server, with only the small translator, and with further settings."""

    def start(settings: str = "") -> AbstractContextManager[RunningServer]:
        folder = tmp_path_factory.mktemp("server")
        config = folder / "dragoman.toml"
        folders = f'shipped_models = false\nmodel_repositories = ["{repository}"]'
        config.write_text(f"{folders}\n{settings}\n")
        return running_server(folder, "--config", str(config))

    return start


@pytest.fixture
def dragoman(server: RunningServer) -> Callable[..., Finished]:
    """Runs the command in a process of its own, against the server."""

    def run(*arguments: str, stdin: bytes = b"") -> Finished:
        done = subprocess.run(
            [*DRAGOMAN, *arguments],
            input=stdin,
            capture_output=True,
            env=os.environ | {"DRAGOMAN_SERVER": server.address},
            timeout=100,
            check=False,
        )
        return Finished(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    return run
