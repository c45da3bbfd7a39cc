"""One server whose models are in replicas of Ray Serve: it answers as any other does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from PIL import Image
from tests.end_to_end.conftest import TRANSLATOR, RunningServer, running_server
from tests.end_to_end.test_vision import write_classifier

from dragoman.v1 import translation_service_pb2 as pb
from dragoman.v1 import translation_service_pb2_grpc
from dragoman_client import (
    Client,
    DragomanClientError,
    GenerationChunk,
    GenerationOptions,
    Translation,
    TranslationOptions,
)
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.generation_options import GenerationOptions as Generation
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.text_vocabulary import count_vocabulary
from dragoman_models.registry import load_model
from dragoman_models.translation.translation_options import TranslationOptions as Options

pytestmark = pytest.mark.timeout(900)  # Ray starts ten processes, on however busy a machine
PATIENCE = 300.0
TEXTS = ["the cat sees the dog.", "Jane", "a new book in the old house and on the cat."]
RAY = """
engine = "ray"
worker_threads = 1
[models]
load_timeout_seconds = 800
[ray]
start_seconds = 800
[ray.translation]
replicas = 1
"""


def write_language_model(folder: Path) -> None:
    """Writes the bundle of a small language model with random weights."""
    torch.manual_seed(3)
    vocabulary = count_vocabulary(["the old man and the sea"] * 3, "characters", most=100)
    config = NetworkConfig(vocabulary_size=vocabulary.size, embedding_size=8, hidden_size=9)
    network = LanguageModelNetwork(config)
    torch.nn.init.normal_(network.embedding)
    write_bundle(
        folder,
        config={
            "family": "language_model", "network": config.model_dump(mode="json"),
            "vocabulary": "characters", "language": "en",
        },
        tensors=network.state_dict(),
        files=vocabulary.files(),
        metrics={},
        card="# Letters\n",
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small translator, the small language model "letters" and the classifier "shapes"."""
    folder = tmp_path_factory.mktemp("models")
    (folder / TRANSLATOR).symlink_to(repository / TRANSLATOR)
    write_language_model(folder / "letters" / "1")
    write_classifier(folder / "shapes" / "1")
    return folder


@pytest.fixture(scope="module")
def on_ray(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server; whatever happens to it, it ends with nothing of Ray left."""
    work = tmp_path_factory.mktemp("server")
    config = work / "dragoman.toml"
    config.write_text(f'shipped_models = false\nmodel_repositories = ["{folder}"]\n{RAY}')
    with running_server(work, "--config", str(config)) as running:
        assert running.next_line() == "ready: 3 models", running.log.read_text()
        started = descendants(running.process.pid)
        assert sum("ServeReplica" in command(pid) for pid in started) == 3
        yield running
        started |= descendants(running.process.pid)
        assert running.stop() == 0
        wait_for(lambda: not any(command(pid) for pid in started))
        assert "Traceback" not in running.log.read_text(encoding="utf-8")


@pytest.fixture
def client(on_ray: RunningServer) -> Iterator[Client]:
    with Client(on_ray.address, timeout=PATIENCE) as client:
        yield client


@contextmanager
def raw_stub(address: str) -> Iterator[Any]:
    """A stub that tries no call again."""
    with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
        yield translation_service_pb2_grpc.TranslationServiceStub(channel)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def command(process: int) -> str:
    """The command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def descendants(process: int) -> set[int]:
    """The processes that a process has started, and those that they have."""
    found: set[int] = set()
    waiting = [process]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = {int(one) for one in task.read_text().split()}
            except OSError:
                continue
            waiting += children - found
            found |= children
    return found


def replica(server: RunningServer, model: str) -> int:
    """The process of the model's replica."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [
            pid
            for pid in descendants(server.process.pid)
            if "ServeReplica" in command(pid) and f":{model}-1" in command(pid)
        ]
        return len(found) == 1

    wait_for(is_there)
    return found[0]


def test_translations_are_those_of_the_model_itself(client: Client, folder: Path) -> None:
    model: Any = load_model(read_bundle(folder / TRANSLATOR / "1"))
    options = TranslationOptions(beam_width=4, n_best=3, max_length=9, return_alignments=True)
    there = client.translate(TEXTS, options=options)
    here = model.translate(
        TEXTS, Options(beam_width=4, n_best=3, max_length=9, return_alignments=True)
    )
    for one, expected in zip(there, here, strict=True):
        assert isinstance(one, Translation)
        assert [h.text for h in one.hypotheses] == [h.text for h in expected]
        assert [h.log_prob for h in one.hypotheses] == pytest.approx(
            [h.log_prob for h in expected], rel=1e-5
        )
        alignment = one.hypotheses[0].alignment
        assert alignment is not None
        np.testing.assert_allclose(alignment.weights, expected[0].attention, rtol=1e-4, atol=1e-6)


def test_images_are_classified_as_by_the_model_itself(
    on_ray: RunningServer, client: Client, folder: Path, tmp_path: Path
) -> None:
    model: Any = load_model(read_bundle(folder / "shapes" / "1"))
    pixels = np.random.default_rng(5).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    image = tmp_path / "image.png"
    Image.fromarray(pixels).save(image)
    found, bad = client.classify([image.read_bytes(), image.read_bytes()[:300]])
    ((first, *_),) = model.classify([pixels])
    assert not isinstance(found, DragomanClientError)
    assert found.classes[0].label == first.label
    assert found.classes[0].probability == pytest.approx(first.probability, rel=1e-4)
    assert isinstance(bad, DragomanClientError)
    # Where the processors are busy, its thread has what the others leave.
    assert min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19) in niceness(replica(on_ray, "shapes"))


def niceness(process: int) -> set[int]:
    """Of its threads."""
    stats = Path(f"/proc/{process}/task").glob("*/stat")
    return {int(one.read_text().rpartition(")")[2].split()[16]) for one in stats}


def test_errors_keep_their_details(on_ray: RunningServer) -> None:
    with raw_stub(on_ray.address) as stub:
        request = pb.TranslateRequest(
            sources=[pb.TranslationSource(text=text) for text in ("a", " ")],
            options=pb.TranslationOptions(beam_width=0),
        )
        with pytest.raises(grpc.RpcError) as caught:
            stub.Translate(request)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(error)
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(packed.Unpack(bad) for packed in status.details)
    assert [one.field for one in bad.field_violations] == ["options.beam_width"]


def test_a_bad_text_of_a_batch_or_stream_fails_alone(client: Client) -> None:
    options = TranslationOptions(max_length=3)
    batch = client.translate(["the cat", " "], options=options)
    stream = list(client.translate_stream(["the cat", " "], options=options))
    for found in (batch, stream):
        assert isinstance(found[0], Translation)
        assert isinstance(found[1], DragomanClientError)


def drawn(client: Client, seed: int, samples: int, length: int) -> dict[int, str]:
    """The texts of the samples, by index."""
    texts: dict[int, str] = {}
    options = GenerationOptions(max_tokens=length, seed=seed, sample_count=samples)
    for event in client.generate("the ", options=options):
        if isinstance(event, GenerationChunk):
            texts[event.sample_index] = texts.get(event.sample_index, "") + event.text
    return texts


def expected(folder: Path, seed: int, samples: int, length: int) -> dict[int, str]:
    model: Any = load_model(read_bundle(folder / "letters" / "1"))
    engine = model.engine()
    engine.join("the ", Generation(max_tokens=length), seed=seed, samples=samples)
    texts: dict[int, str] = {}
    while engine.active:
        for event in engine.step():
            index = event.generation.index
            texts[index] = texts.get(index, "") + event.text
    return texts


def test_a_seed_draws_what_the_model_itself_draws(client: Client, folder: Path) -> None:
    found: dict[int, dict[int, str]] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: drawn(client, seed, 2, 30)}))
        for seed in (5, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: expected(folder, seed, 2, 30) for seed in (5, 6)}


def test_work_that_is_given_up_stops(on_ray: RunningServer, client: Client) -> None:
    # The call would keep the only thread of the replica for much longer than the test may take.
    long = pb.TranslationOptions(beam_width=8, min_length=10_000, max_length=10_000)
    sources = [pb.TranslationSource(text="the cat " * 20)]
    process = replica(on_ray, TRANSLATOR)
    with raw_stub(on_ray.address) as stub:
        call = stub.Translate.future(pb.TranslateRequest(sources=sources, options=long))
        wait_for(lambda: not is_idle(process) or call.done())
        call.cancel()
    wait_for(lambda: is_idle(process))
    assert client.translate("the cat", options=TranslationOptions(max_length=3)).text
    stream = client.generate("the ", options=GenerationOptions(max_tokens=10_000, seed=1))
    for _ in range(3):
        next(stream)
    stream.close()
    process = replica(on_ray, "letters")
    wait_for(lambda: is_idle(process))


def is_idle(process: int) -> bool:
    """Whether a process uses less than a tenth of a core."""
    first = processor_seconds(process)
    time.sleep(1.0)
    return processor_seconds(process) - first < 0.1


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_calls_of_a_replica_that_is_killed_are_answered_or_unavailable(
    on_ray: RunningServer, client: Client, folder: Path
) -> None:
    process = replica(on_ray, TRANSLATOR)
    request = pb.TranslateRequest(
        sources=[pb.TranslationSource(text=TEXTS[0])],
        options=pb.TranslationOptions(beam_width=1, min_length=3_000, max_length=3_000),
    )
    with raw_stub(on_ray.address) as stub:
        call = stub.Translate.future(request, timeout=PATIENCE)
        wait_for(lambda: not is_idle(process) or call.done())
        os.kill(process, signal.SIGKILL)
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        if call.code() is grpc.StatusCode.UNAVAILABLE:
            status = rpc_status.from_call(call)
            assert status is not None
            retry = error_details_pb2.RetryInfo()
            assert any(packed.Unpack(retry) for packed in status.details)

    def answers() -> bool:
        try:
            return isinstance(client.translate("the cat", options=options), Translation)
        except DragomanClientError:
            return False

    options = TranslationOptions(max_length=3)
    wait_for(answers)
    assert replica(on_ray, TRANSLATOR) != process
