"""Models in worker processes: the same answers as in this one, and nothing hangs when one dies."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import torch

from dragoman.v1 import decoding_pb2, language_model_service_pb2, language_model_service_pb2_grpc
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.errors import (
    BundleError,
    InvalidInputError,
    OverloadedError,
    WorkCancelledError,
)
from dragoman_models.language_model.completion_options import CompletionOptions
from dragoman_models.language_model.config import NetworkConfig as LanguageModelConfig
from dragoman_models.language_model.generation_options import GenerationOptions
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.text_scores import TextToScore
from dragoman_models.language_model.text_vocabulary import count_vocabulary
from dragoman_models.registry import load_model
from dragoman_models.tokenizer import EOS, train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_models.weight_encoding import WeightEncoding, encode_weights
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.workers import worker_pool as worker_pool_module
from dragoman_server.workers.model_placement import PlacedModels
from dragoman_server.workers.shared_bundle import shared
from dragoman_server.workers.worker_pool import WorkerPool
from dragoman_server.workers.worker_process import WorkerLostError, WorkerProcess

if TYPE_CHECKING:
    from tests.server.conftest import ServerFactory

pytestmark = pytest.mark.timeout(900)  # processes start, which takes long on a busy machine
PATIENCE = 200.0  # seconds until a process must have started, however busy the machine is
TEXTS = ("the cat sat on the mat", "a dog ran in the park", "quick brown foxes jump")
LONG = TranslationOptions(beam_width=4, min_length=5_000, max_length=5_000)  # takes minutes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles "tiny" (in 8 bits) and "letters": random weights, to answer with."""
    folder = tmp_path_factory.mktemp("repository")
    write_translator(folder / "tiny" / "1")
    vocabulary = count_vocabulary(["the old man and the sea, 日本"] * 3, "characters", most=100)
    config = LanguageModelConfig(vocabulary_size=vocabulary.size, embedding_size=8, hidden_size=9)
    network = LanguageModelNetwork(config)
    torch.nn.init.normal_(network.embedding)
    write_bundle(
        folder / "letters" / "1",
        config={
            "family": "language_model", "network": config.model_dump(mode="json"),
            "vocabulary": "characters", "language": "en",
        },
        tensors=network.state_dict(),
        files=vocabulary.files(),
        metrics={},
        card="# Letters\n",
    )  # fmt: skip
    return folder


def write_translator(folder: Path, **sizes: int) -> None:
    tokenizer = train_tokenizer(TEXTS * 20, vocabulary_size=284)
    small = NetworkConfig(vocabulary_size=284, embedding_size=8, encoder_size=8, decoder_size=16)
    config = small.model_copy(update=sizes)
    torch.manual_seed(7)
    network = TranslationNetwork(small)
    with torch.no_grad():
        network.output_bias[EOS] = -100.0
    write_bundle(
        folder,
        config={
            "family": "translation", "network": config.model_dump(),
            "source_languages": ["fr"], "target_languages": ["en"],
        },
        tensors=encode_weights(network.state_dict(), WeightEncoding.INT8_ROWS),
        files={"tokenizer.model": tokenizer.model_bytes},
        metrics={},
        card="# Tiny\n",
    )  # fmt: skip


@pytest.fixture(scope="module")
def placed() -> Iterator[PlacedModels]:
    """Two processes for translators, one of them for language models too."""
    placed = PlacedModels({"translation": 2, "language_model": 1}, threads=1)
    yield placed
    placed.pool.close()


@pytest.fixture(scope="module")
def translator(placed: PlacedModels, folder: Path) -> Any:
    return placed.load(read_bundle(folder / "tiny" / "1"))


@pytest.fixture(scope="module")
def local(folder: Path) -> Translator:
    model = load_model(read_bundle(folder / "tiny" / "1"))
    assert isinstance(model, Translator)
    return model


@pytest.fixture(scope="module")
def letters(placed: PlacedModels, folder: Path) -> Any:
    return placed.load(read_bundle(folder / "letters" / "1"))


def worker_pool(placed: PlacedModels) -> WorkerPool:
    """The pool, of which tests look at more than services do."""
    assert isinstance(placed.pool, WorkerPool)
    return placed.pool


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_processes(placed: PlacedModels, *, other_than: int = 0) -> None:
    """Until both processes are there, and idle: also with what earlier tests have left to do."""
    pool = worker_pool(placed)
    wait_for(
        lambda: (
            len(set(pool.process_ids()) - {other_than}) == 2
            and all(not slot.busy and slot.loaded <= set(pool._models) for slot in pool._slots)
        )
    )


# --- the same answers ---


def test_a_translator_answers_as_in_this_process(translator: Any, local: Translator) -> None:
    options = TranslationOptions(beam_width=3, n_best=2, return_alignments=True, max_length=9)
    there = translator.translate(TEXTS, options, prefixes=["", "the", ""])
    here = local.translate(TEXTS, options, prefixes=["", "the", ""])
    for one, other in zip(there, here, strict=True):
        assert [h.text for h in one] == [h.text for h in other]
        assert [h.log_prob for h in one] == [h.log_prob for h in other]
        np.testing.assert_array_equal(one[0].attention, other[0].attention)
    assert translator.source_tokens(TEXTS[0]) == local.source_tokens(TEXTS[0])
    pairs = [(text, "a cat") for text in TEXTS]
    scored = (translator.score_targets(pairs), local.score_targets(pairs))
    assert [h.log_prob for h in scored[0]] == [h.log_prob for h in scored[1]]


def test_ensembles_and_split_texts_answer_as_in_this_process(
    placed: PlacedModels, translator: Any, local: Translator, folder: Path
) -> None:
    text = "The cat sat. A dog ran."
    for split in (False, True):
        assert translator.source_tokens(text, split_sentences=split) == local.source_tokens(
            text, split_sentences=split
        )
    other: Any = placed.load(read_bundle(folder / "tiny" / "1"))
    ensemble = translator.ensemble_with([other])
    del other  # the ensemble keeps it in the processes
    options = TranslationOptions(max_length=6)
    there, here = ensemble.translate(TEXTS, options), local.ensemble_with([local])
    found = here.translate(TEXTS, options)
    assert [one[0].log_prob for one in there] == [one[0].log_prob for one in found]


def test_domain_errors_come_back_as_they_were_raised(translator: Any, local: Translator) -> None:
    with pytest.raises(InvalidInputError) as there:
        translator.translate(["a", " "], TranslationOptions(beam_width=0))
    with pytest.raises(InvalidInputError) as here:
        local.translate(["a", " "], TranslationOptions(beam_width=0))
    assert there.value.violations == here.value.violations


def test_other_errors_keep_their_traceback(translator: Any) -> None:
    with pytest.raises(RuntimeError, match=r"in a worker process:\nTraceback"):
        translator.translate([7], TranslationOptions())


def test_a_language_model_answers_as_in_this_process(letters: Any, folder: Path) -> None:
    here: Any = load_model(read_bundle(folder / "letters" / "1"))
    items = [TextToScore(text="the sea"), TextToScore(text="日本", context="old")]
    assert letters.score(items) == here.score(items)
    options = CompletionOptions(max_tokens=8)
    assert letters.complete("the", options) == here.complete("the", options)
    assert letters.prompt_tokens("the") == here.prompt_tokens("the")
    drawn = [generated(model.engine()) for model in (letters, here)]
    assert drawn[0] == drawn[1]


def generated(engine: Any) -> list[Any]:
    options = GenerationOptions(max_tokens=20)
    first = engine.join("the ", options, seed=5, samples=3)
    engine.step()
    second = engine.join("man", options, seed=6)
    engine.leave(first[1])
    events = []
    while engine.active:
        events += [(e.generation.index, e.text, e.token_log_prob) for e in engine.step()]
    ended = [(one.tokens, one.log_prob, one.finish_reason) for one in (first[0], first[2], *second)]
    return [events, ended]


# --- weights ---


def test_the_weights_of_all_processes_are_one_mapping(folder: Path) -> None:
    bundle = read_bundle(folder / "tiny" / "1")
    given = shared(bundle)
    try:
        first, second = given.torch_tensors(), given.torch_tensors()
        expected = load_model(bundle).network.state_dict()  # type: ignore[attr-defined]
        assert first.keys() == expected.keys()
        for name, tensor in first.items():
            assert torch.equal(tensor, expected[name])
        (name, tensor), *_ = first.items()
        tensor.zero_()  # whoever writes gets pages of their own
        assert torch.equal(second[name], expected[name])
        model: Any = load_model(given)
        inside = {parameter.data_ptr() for parameter in model.network.parameters()}
        assert len(inside) == len(expected)
    finally:
        os.close(given.descriptor)


@pytest.mark.parametrize("size", ["vocabulary_size", "embedding_size", "decoder_size"])
def test_a_config_that_asks_for_more_memory_than_the_weights_is_refused(
    tmp_path: Path, size: str
) -> None:
    write_translator(tmp_path / "bomb" / "1", **{size: 4_000_000})
    with pytest.raises(BundleError, match=r"the network of config\.json has at least"):
        load_model(read_bundle(tmp_path / "bomb" / "1"))


def test_what_cannot_be_loaded_there_is_refused_here(placed: PlacedModels, tmp_path: Path) -> None:
    write_translator(tmp_path / "bomb" / "1", decoder_size=17)
    with pytest.raises(BundleError, match="is no translator"):
        placed.load(read_bundle(tmp_path / "bomb" / "1"))


# --- cancelled ---


def test_a_cancelled_call_stops_in_the_process(placed: PlacedModels, translator: Any) -> None:
    before = set(placed.pool.process_ids())
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    found = translator.translate(TEXTS, LONG, cancelled=lambda _: cancel.is_set())
    assert found == [(), (), ()]
    assert set(placed.pool.process_ids()) == before  # it stopped by itself
    options = TranslationOptions(max_length=3)
    alone = translator.translate(TEXTS[:1], options)
    # One of a batch is given up, and the others get what they would have got.
    kept = translator.translate(TEXTS, options, cancelled=lambda index: index > 0)
    assert (kept[0][0].text, kept[1:]) == (alone[0][0].text, [(), ()])


# --- killed ---


def test_a_call_whose_process_is_killed_is_answered_by_another(
    placed: PlacedModels, translator: Any, local: Translator
) -> None:
    wait_for_processes(placed)
    options = TranslationOptions(beam_width=1, min_length=1_000, max_length=1_000)
    first, _ = placed.pool.process_ids()
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(translator.translate, TEXTS[:1], options)
        wait_for(lambda: worker_pool(placed)._slots[0].busy or running.done())
        os.kill(first, signal.SIGKILL)
        found = running.result(PATIENCE)
    assert found[0][0].text == local.translate(TEXTS[:1], options)[0][0].text
    wait_for_processes(placed, other_than=first)


def test_an_idle_process_that_is_killed_comes_back_without_the_folder(
    placed: PlacedModels, local: Translator, folder: Path, tmp_path: Path
) -> None:
    wait_for_processes(placed)
    shutil.copytree(folder / "tiny", tmp_path / "gone")
    model: Any = placed.load(read_bundle(tmp_path / "gone" / "1"))
    shutil.rmtree(tmp_path / "gone")
    before = set(placed.pool.process_ids())
    for process in before:
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: len(set(placed.pool.process_ids()) - before) == 2)
    options = TranslationOptions(max_length=5)
    found = model.translate(TEXTS, options)
    assert [one[0].text for one in found] == [
        one[0].text for one in local.translate(TEXTS, options)
    ]


def step_for_ever(engine: Any) -> None:
    while engine.active:
        engine.step()


def test_a_process_that_does_not_stop_when_told_is_killed(
    placed: PlacedModels, translator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_processes(placed)
    monkeypatch.setattr("dragoman_server.workers.worker_process._STUCK_SECONDS", 0.2)
    first = placed.pool.process_ids()[0]
    os.kill(first, signal.SIGSTOP)  # it lives, and does nothing
    with pytest.raises(WorkCancelledError):
        translator.translate(TEXTS, LONG, cancelled=lambda _: True)
    wait_for_processes(placed, other_than=first)


def test_a_process_ends_with_its_server() -> None:
    process = WorkerProcess(1)
    process.wait_until_ready()
    process.forget()  # as when the server is killed: its end of the pipe is closed
    assert process.process.wait(PATIENCE) == 0


def test_a_model_leaves_the_processes_with_its_last_reference(
    placed: PlacedModels, folder: Path
) -> None:
    before = set(worker_pool(placed)._models)
    model: Any = placed.load(read_bundle(folder / "tiny" / "1"))
    (number,) = set(worker_pool(placed)._models) - before
    method = model.translate  # what a call in flight holds
    del model
    assert number in worker_pool(placed)._models
    assert method(TEXTS[:1], TranslationOptions(max_length=2))
    del method
    wait_for(lambda: all(number not in slot.loaded for slot in worker_pool(placed)._slots))


# --- served ---


def version_of(name: str, family: str, model: object) -> ModelVersion:
    return ModelVersion(
        name=name, version=1, path=Path(name), size_bytes=1, config={"family": family},
        state=ModelState.READY, model=model,
    )  # fmt: skip


async def test_calls_end_as_answers_or_unavailable_while_processes_are_killed(
    server_with: ServerFactory, placed: PlacedModels, translator: Any, letters: Any
) -> None:
    wait_for_processes(placed)
    versions = [
        version_of("tiny", "translation", translator),
        version_of("letters", "language_model", letters),
    ]
    request = pb.TranslateRequest(
        sources=[pb.TranslationSource(text=text) for text in TEXTS],
        options=pb.TranslationOptions(beam_width=2, max_length=5),
    )
    codes: list[grpc.StatusCode] = []
    async with server_with(versions=versions) as server:
        expected = (await server.translation.Translate(request)).results

        async def call() -> None:
            try:
                assert (await server.translation.Translate(request)).results == expected
                codes.append(grpc.StatusCode.OK)
            except grpc.aio.AioRpcError as error:
                codes.append(error.code())

        engine = letters.engine()
        engine.join("the", GenerationOptions(max_tokens=10_000), seed=1)
        before = placed.pool.process_ids()
        calls = [asyncio.create_task(call()) for _ in range(20)]
        await asyncio.sleep(0.02)
        os.kill(before[0], signal.SIGKILL)
        await asyncio.wait_for(asyncio.gather(*calls), PATIENCE)
        assert len(codes) == 20
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert grpc.StatusCode.OK in codes
        with pytest.raises(OverloadedError, match=r"process .* ended"):  # with what it has drawn
            await asyncio.to_thread(step_for_ever, engine)
        await asyncio.to_thread(wait_for_processes, placed, other_than=before[0])
        stub = language_model_service_pb2_grpc.LanguageModelServiceStub(server.channel)
        sampling = decoding_pb2.SamplingOptions(seed=3)
        stream = stub.Generate(
            language_model_service_pb2.GenerateRequest(
                prompt="the",
                options=language_model_service_pb2.GenerationOptions(
                    sampling=sampling, max_tokens=5
                ),
            )
        )
        kinds = [answer.WhichOneof("event") async for answer in stream]
        assert kinds[0] == "started"
        assert kinds[-1] == "finished"


@pytest.mark.parametrize(
    ("error", "is_defect"), [(WorkerLostError("is lost"), False), (ZeroDivisionError("no"), True)]
)
def test_a_process_that_is_killed_while_it_starts_is_no_defect(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    is_defect: bool,
) -> None:
    class Dying:
        """A process that ends before it is ready."""

        process = SimpleNamespace(pid=7)

        def __init__(self, _: int, **__: int) -> None:
            pass

        def wait_until_ready(self) -> None:
            raise error

        def kill(self) -> None:
            pool._closed = True

    monkeypatch.setattr(worker_pool_module, "WorkerProcess", Dying)
    pool = WorkerPool(1)
    pool._restart(pool._slots[0])
    (record,) = caplog.records
    assert record.getMessage() == f"worker process 7 did not start: {error}"
    assert (record.exc_info is not None) == is_defect
