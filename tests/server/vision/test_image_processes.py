"""Models of images in a process of their own: the same answers, nothing of theirs beside texts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.server.conftest import ready_version, running_server
from tests.server.test_model_processes import PATIENCE, write_translator
from tests.server.vision.fake_models import (
    DEADLY,
    LIMITS,
    MODELS,
    encoded,
    image_of,
    load_fake,
    spotted,
    write_fake,
)

from dragoman.v1 import translation_service_pb2, vision_service_pb2_grpc
from dragoman.v1 import vision_service_pb2 as pb
from dragoman_models.bundle import read_bundle
from dragoman_models.errors import DragomanError, InvalidInputError, OverloadedError
from dragoman_models.vision.results import DetectionOptions
from dragoman_server.encoded_images import over_encoded_images
from dragoman_server.workers.model_placement import PlacedModels
from dragoman_server.workers.shared_bundle import whole

REPOSITORY = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.timeout(900)  # processes start, which takes long on a busy machine
CONTENTS = [
    encoded(image_of(9, 200, 9)), b"no image", encoded(spotted(3, 4, 5, 6), "WEBP", lossless=True),
    encoded(image_of(200, 9, 9), "JPEG"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for family in MODELS:
        write_fake(folder / family / "1", family)
    write_translator(folder / "tiny" / "1")
    return folder


@pytest.fixture(scope="module")
def placed() -> Iterator[PlacedModels]:
    """One process for translators and one for models of images."""
    with pytest.MonkeyPatch.context() as patch:
        # The processes import the fakes from here.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ["PYTHONPATH"]])
                     if "PYTHONPATH" in os.environ else str(REPOSITORY))  # fmt: skip
        placed = PlacedModels({"translation": 1}, threads=1, load=load_fake, image_processes=1)
        yield placed
        placed.close()


@dataclass(frozen=True, kw_only=True)
class Models:
    """The fakes in their process, and a translator in another."""

    classifier: Any
    detector: Any
    embedder: Any
    translator: Any


@pytest.fixture(scope="module")
def models(placed: PlacedModels, folder: Path) -> Models:
    names = {
        "classifier": "image_classifier", "detector": "object_detector",
        "embedder": "image_embedder", "translator": "tiny",
    }  # fmt: skip
    return Models(
        **{key: placed.load(read_bundle(folder / name / "1")) for key, name in names.items()}
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, DragomanError):
        return type(one) is type(other) and str(one) == str(other)
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def test_the_answers_are_those_of_this_process(models: Models) -> None:
    here: dict[str, Any] = {
        family: over_encoded_images(make(), family, LIMITS) for family, make in MODELS.items()
    }
    options = DetectionOptions(max_detections=3)
    pairs = [(CONTENTS[0], CONTENTS[3]), (CONTENTS[1], CONTENTS[0])]
    for there, ours in (
        (models.classifier.classify(CONTENTS, top_k=2),
         here["image_classifier"].classify(CONTENTS, top_k=2)),
        (models.detector.detect(CONTENTS, options),
         here["object_detector"].detect(CONTENTS, options)),
        (models.embedder.embed(CONTENTS), here["image_embedder"].embed(CONTENTS)),
        (models.embedder.verify(pairs, threshold=0.5),
         here["image_embedder"].verify(pairs, threshold=0.5)),
        (models.embedder.verify(pairs), here["image_embedder"].verify(pairs)),
    ):  # fmt: skip
        assert len(there) == len(ours)
        assert all(same(one, other) for one, other in zip(there, ours, strict=True))
        assert sum(isinstance(one, InvalidInputError) for one in there) == 1
    assert models.classifier.facts() == here["image_classifier"].facts()
    assert models.embedder.facts() == here["image_embedder"].facts()


def test_weights_arrive_in_the_types_they_were_written_in(folder: Path) -> None:
    bundle = read_bundle(folder / "image_classifier" / "1")
    given = whole(bundle)
    try:
        for tensors in (given.numpy_tensors(), given.mapped_tensors(), given.torch_tensors()):
            weight = np.asarray(tensors["weight"])
            assert weight.dtype == np.int64
            np.testing.assert_array_equal(weight, np.arange(6).reshape(2, 3))
        assert given.file("config.json") == bundle.file("config.json")
    finally:
        os.close(given.descriptor)


def test_processes_of_images_are_others_and_give_way(placed: PlacedModels, models: Models) -> None:
    wait_for(lambda: len(placed.image_pool.process_ids()) == len(placed.pool.process_ids()) == 1)
    (of_images,), (of_texts,) = placed.image_pool.process_ids(), placed.pool.process_ids()
    assert of_images != of_texts
    models.classifier.classify(CONTENTS, top_k=1, cancelled=lambda _: False)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, of_texts) == ours
    assert os.getpriority(os.PRIO_PROCESS, of_images) == min(ours + 10, 19)


def test_an_image_that_kills_its_process_ends_its_own_call_only(
    models: Models, placed: PlacedModels
) -> None:
    wait_for(lambda: len(placed.image_pool.process_ids()) == 1)
    before = placed.image_pool.process_ids()
    deadly = encoded(image_of(1, 2, 3, width=DEADLY, height=1))
    with pytest.raises(OverloadedError, match="process"):
        models.classifier.classify([deadly], top_k=1)
    wait_for(lambda: bool(set(placed.image_pool.process_ids()) - set(before)))
    (found,) = models.classifier.classify(CONTENTS[:1], top_k=1)
    assert found[0].label == "green"
    assert models.embedder.embed(CONTENTS[:1])[0].shape == (4,)


@asynccontextmanager
async def serving(models: Models) -> AsyncIterator[tuple[Any, Any]]:
    """The stubs for texts and images of a server with these models."""
    versions = [
        ready_version("tiny", "translation", models.translator),
        ready_version("colours", "image_classifier", models.classifier),
    ]
    workers = {"translation": 1, "language_model": 0, "vision": 1}
    async with running_server({"workers": workers}, versions) as server:
        yield server.translation, vision_service_pb2_grpc.VisionServiceStub(server.channel)


async def test_texts_are_translated_alike_while_images_keep_their_process_busy(
    models: Models,
) -> None:
    texts = [f"the cat sat {'on the mat ' * (number % 4)}" for number in range(8)]
    requests = [
        translation_service_pb2.TranslateRequest(
            sources=[translation_service_pb2.TranslationSource(text=text)],
            options=translation_service_pb2.TranslationOptions(max_length=12),
        )
        for text in texts
    ]
    large = encoded(np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    image = pb.ClassifyRequest(images=[pb.Image(content=large)] * 8)
    async with serving(models) as (translation, vision):
        calm = [await translation.Translate(request) for request in requests]
        images = [asyncio.ensure_future(vision.Classify(image)) for _ in range(4)]
        busy = [await translation.Translate(request) for request in requests]
        assert busy == calm
        answers = await asyncio.gather(*images)
    assert all(len(answer.results) == 8 for answer in answers)
    expected = answers[0].results[0]
    assert all(result == expected for answer in answers for result in answer.results)
