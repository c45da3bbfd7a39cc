"""The real server with small models of images in a process of its own, and a translator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.end_to_end.conftest import DRAGOMAN, TRANSLATOR, running_server, write_translator

from dragoman_client import (
    Client,
    HealthStatus,
    InvalidRequestError,
    ModelVersion,
    TranslationOptions,
)
from dragoman_client import DetectionOptions as Options
from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.registry import load_model
from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.network_config import ResidualNetworkConfig
from dragoman_models.vision.classification.preparation import ImagePreparation
from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.folding import fold
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.image_decoding import read_image
from dragoman_models.vision.results import DetectionOptions
from dragoman_models.vision.verification.network import EmbeddingConfig, EmbeddingNetwork

pytestmark = pytest.mark.timeout(900)  # processes start, which takes long on a busy machine
LABELS = ["circle", "line", "spot"]
SERVICE = "dragoman.v1.VisionService"


@dataclass(frozen=True, kw_only=True)
class Vision:
    """The server's address, its models as they are here, and a folder of images."""

    address: str
    classifier: Any
    detector: Any
    embedder: Any
    images: list[Path]


def write_classifier(folder: Path) -> None:
    """Writes the bundle of a small classifier with random weights."""
    torch.manual_seed(11)
    shape = ResidualNetworkConfig(channels=3, classes=3, stem_width=4, widths=(6,), blocks=(1,))
    preparation = ImagePreparation(
        height=16, width=16, channels=3, fitting="pad", mean=(0.5,) * 3, deviation=(0.25,) * 3
    )
    write_bundle(
        folder,
        config={
            "family": "image_classifier", "network_kind": "residual", "labels": LABELS,
            "network": shape.model_dump(mode="json"),
            "preparation": preparation.model_dump(mode="json"),
        },
        tensors={k: v.half() for k, v in ResidualNetwork(shape, folded=True).state_dict().items()},
        files={}, metrics={}, card="# Shapes\n",
    )  # fmt: skip


def write_models(folder: Path) -> None:
    write_classifier(folder / "shapes" / "1")
    config = EmbeddingConfig(image_size=16, stem=4, stages=(6,), dimensions=5)
    write_bundle(
        folder / "strokes" / "1",
        config={
            "family": "image_embedder", "threshold": 0.375, "dimensions": 5,
            "network": config.model_dump(mode="json"),
        },
        tensors=EmbeddingNetwork(config).state_dict(),
        files={}, metrics={}, card="# Strokes\n",
    )  # fmt: skip
    write_detector(folder / "discs" / "1")
    write_translator(folder / TRANSLATOR / "1")


def write_detector(folder: Path) -> None:
    config = DetectorConfig(
        labels=("dark", "light"),
        input_size=64,
        anchors=(((8, 8),), ((20, 20),), ((40, 40),)),
        neck_channels=8,
    )
    network = DetectorNetwork(config)
    fold(network)
    write_bundle(
        folder,
        config={
            "family": "object_detector", "score_threshold": 0.001,
            "network": config.model_dump(mode="json"),
        },
        tensors=network.state_dict(),
        files={}, metrics={}, card="# Discs\n",
    )  # fmt: skip


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vision]:
    folder = tmp_path_factory.mktemp("vision")
    write_models(folder)
    config = folder / "dragoman.toml"
    config.write_text(f'shipped_models = false\nmodel_repositories = ["{folder}"]\n')
    images = folder / "images"
    images.mkdir()
    random = np.random.default_rng(5)
    for number, kind in enumerate(("png", "jpg", "webp", "png")):
        pixels = random.integers(0, 256, (24 + number, 31, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.{kind}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRAGOMAN_WORKERS__VISION", "1")
        with running_server(folder, "--config", str(config)) as server:
            assert server.next_line() == "ready: 4 models", server.log.read_text()
            yield Vision(
                address=server.address,
                classifier=load_model(read_bundle(folder / "shapes" / "1")),
                detector=load_model(read_bundle(folder / "discs" / "1")),
                embedder=load_model(read_bundle(folder / "strokes" / "1")),
                images=sorted(images.iterdir()),
            )
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_answers_are_those_of_the_model_itself(vision: Vision) -> None:
    pixels = [read_image(path) for path in vision.images]
    with Client(vision.address) as client:
        assert client.check_health(SERVICE) is HealthStatus.SERVING
        assert client.get_model("shapes").labels == tuple(LABELS)
        found = client.classify(vision.images)
        for answer, expected in zip(found, vision.classifier.classify(pixels), strict=True):
            assert not isinstance(answer, Exception)
            assert [one.label for one in answer.classes] == [one.label for one in expected]
            np.testing.assert_allclose(
                [one.probability for one in answer.classes],
                [one.probability for one in expected],
                rtol=1e-4,
            )
            assert answer.model == ModelVersion(name="shapes", version=1)
        vectors = vision.embedder.embed(pixels)
        for vector, own in zip(client.embed_images(vision.images), vectors, strict=True):
            assert not isinstance(vector, Exception)
            np.testing.assert_allclose(vector.values, own, atol=1e-5)
        same = client.verify(vision.images[0], vision.images[0])
        assert (same.same, same.threshold) == (True, 0.375)
        other = client.verify(vision.images[0], vision.images[2])
        expected_distance = np.linalg.norm(vectors[0].astype(float) - vectors[2])
        assert other.distance == pytest.approx(expected_distance, abs=1e-5)
        with pytest.raises(InvalidRequestError, match="does not answer"):
            client.detect(vision.images[0], model="shapes")


def test_objects_are_those_that_the_model_itself_finds(vision: Vision) -> None:
    pixels = [read_image(path) for path in vision.images]
    expected = vision.detector.detect(pixels, DetectionOptions(max_detections=1))
    with Client(vision.address) as client:
        assert client.get_model("discs").labels == ("dark", "light")
        found = client.detect(vision.images, options=Options(max_detections=1))
    for answer, (own,), image in zip(found, expected, pixels, strict=True):
        assert not isinstance(answer, Exception)
        (one,) = answer.detections
        assert (answer.image_height, answer.image_width) == image.shape[:2]
        assert one.score == pytest.approx(own.score, rel=1e-3)
        edges = [getattr(one.box, edge) for edge in ("x_min", "y_min", "x_max", "y_max")]
        assert 0 <= edges[0] < edges[2] <= answer.image_width
        assert 0 <= edges[1] < edges[3] <= answer.image_height


def test_the_command_answers_a_folder_with_one_bad_image(vision: Vision, tmp_path: Path) -> None:
    for path in vision.images:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "1b.jpg").write_bytes(vision.images[1].read_bytes()[:300])
    done = subprocess.run(
        [*DRAGOMAN, "classify", str(tmp_path), "--json", "-k", "1"],
        capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"DRAGOMAN_SERVER": vision.address},
    )  # fmt: skip
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    names = [Path(one["image"]).name for one in found]
    assert names == ["0.png", "1.jpg", "1b.jpg", "2.webp", "3.png"]
    assert [name for name, one in zip(names, found, strict=True) if "error" in one] == ["1b.jpg"]
    assert done.stderr.rstrip().endswith("1b.jpg: is a JPEG that is cut short; send the whole file")


def test_translations_are_the_same_while_images_are_looked_at(vision: Vision) -> None:
    options = TranslationOptions(max_length=20)
    texts = [f"ban ten {word}" for word in ("cin", "dos", "fut", "gan", "hes", "jit")]
    contents = [path.read_bytes() for path in vision.images] * 8
    with Client(vision.address, timeout=300) as client, ThreadPoolExecutor(3) as callers:
        calm = client.translate(texts, options=options)
        looking = [callers.submit(client.classify, contents) for _ in range(3)]
        busy = [client.translate(text, options=options) for text in texts]
        answers = [one.result() for one in looking]
    assert [one.text for one in busy] == [getattr(one, "text", None) for one in calm]
    for answer in answers:
        labels = [getattr(one, "label", None) for one in answer]
        assert labels == labels[:4] * 8
        assert None not in labels
