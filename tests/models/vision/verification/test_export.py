"""From a finished run to a bundle that embeds, with figures that hold for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress
from tests.models.vision.verification.conftest import SETTINGS, drawn

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.errors import BundleError, TrainingError
from dragoman_models.registry import load_model
from dragoman_models.vision.image_decoding import ImageLimits, decode_image
from dragoman_models.vision.results import RgbImage
from dragoman_models.vision.verification.card import TrainingData
from dragoman_models.vision.verification.export import export
from dragoman_models.vision.verification.image_embedder import ImageEmbedder
from dragoman_models.vision.verification.measure import measure, read_run
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe
from dragoman_models.vision.verification.run_images import read_images
from dragoman_models.vision.verification.trainer import ImageEmbedderTrainer

DATA = TrainingData(description="made drawings", license="CC0-1.0", attribution="nobody")


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    recipe = ImageEmbedderRecipe.model_validate({"omniglot": (archive,), **SETTINGS})
    folder = tmp_path_factory.mktemp("export")
    images = read_images(recipe)
    ImageEmbedderTrainer(recipe, images, folder / "run").run(Progress(disable=True))
    run = read_run(folder / "run", recipe)
    figures = measure(run, images, episodes=30, seed=1, ways=6)
    out = folder / "drawings" / "1"
    export(run, images, out, figures=figures, data=DATA, commands=["train it", "export it"])
    return out


def loaded(folder: Path) -> ImageEmbedder:
    model = load_model(read_bundle(folder))
    assert isinstance(model, ImageEmbedder)
    return model


def image_of(character: str, drawer: int) -> RgbImage:
    return decode_image(drawn(character, drawer), limits=ImageLimits())


def test_the_bundle_embeds_and_its_figures_are_those_of_its_vectors(bundle_folder: Path) -> None:
    model, metrics = loaded(bundle_folder), read_bundle(bundle_folder).metrics["test"]
    images = [image_of(f"Echo{number}", drawer) for number in range(6) for drawer in range(5)]
    vectors = model.embed(images)
    assert vectors.shape == (30, model.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    same: list[float] = []
    different: list[float] = []
    for a in range(30):
        for b in range(a):
            (same if a // 5 == b // 5 else different).append(model.distance(vectors[a], vectors[b]))
    of_pairs = metrics["verification"]["within"]
    assert (len(same), len(different)) == (of_pairs["pairs_same"], of_pairs["pairs_different"])
    accepted = sum(d <= model.threshold for d in different) / len(different)
    rejected = sum(d > model.threshold for d in same) / len(same)
    one_pair = 1 / len(same)
    assert math.isclose(accepted, of_pairs["false_acceptance_at_threshold"], abs_tol=one_pair)
    assert math.isclose(rejected, of_pairs["false_rejection_at_threshold"], abs_tol=one_pair)
    assert set(metrics["one_shot"]) == set(metrics["modified_hausdorff"]) == {"within", "mixed"}


def test_the_card_says_what_was_learnt_and_measured(bundle_folder: Path) -> None:
    bundle = read_bundle(bundle_folder)
    test = bundle.metrics["test"]
    for text in (
        "Alfa, Bravo (12 classes, 60 images)", "Tested on: Echo (6 classes, 30 images)", "CC0-1.0",
        f"{1 - test['one_shot']['within']['accuracy']:.2%}", f"{test['threshold']:.4f}",
        "    export it",
    ):  # fmt: skip
        assert text in bundle.card
    assert bundle.file("roc.png").startswith(b"\x89PNG")
    assert "{" not in bundle.card


def test_images_of_any_size_are_embedded_alike_in_any_company(bundle_folder: Path) -> None:
    model = loaded(bundle_folder)
    base = image_of("Echo1", 0)
    large = np.asarray(Image.fromarray(base).resize((160, 160), Image.Resampling.NEAREST))
    wide = np.full((1, 5_000, 3), 255, np.uint8)
    strange = [base, large, np.zeros((1, 1, 3), np.uint8), wide, wide.transpose(1, 0, 2).copy()]
    together = model.embed(strange)
    assert np.isfinite(together).all()
    for image, vector in zip(strange, together, strict=True):
        np.testing.assert_allclose(model.embed([image])[0], vector, atol=1e-5)
    other = model.embed([image_of("Echo2", 0)])[0]
    size_apart = model.distance(together[0], together[1])
    assert size_apart < 0.2 * model.distance(together[0], other)
    assert model.embed([]).shape == (0, model.dimensions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": None}, "threshold must be a distance"),
        ({"threshold": 2.5}, "threshold is 2.5"),
        ({"network": {"image_size": 16, "stages": [2048] * 3}}, "weights; the network of"),
        ({"network": {"image_size": 8, "stages": [8] * 8}}, "leave nothing of 8 pixels"),
        ({"network": {"image_size": 16, "stem": 8, "stages": [12, 15]}}, "is no image embedder"),
    ],
)
def test_a_bundle_that_is_no_embedder_is_refused(
    bundle_folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    bundle = read_bundle(bundle_folder)
    write_bundle(
        tmp_path / "odd/1",
        config={**bundle.config, **changes},
        tensors=bundle.torch_tensors(),
        files={},
        metrics={},
        card="odd",
    )
    with pytest.raises(BundleError, match=message):
        load_model(read_bundle(tmp_path / "odd/1"))


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, make_recipe: Callable[..., ImageEmbedderRecipe]
) -> None:
    (tmp_path / "best.safetensors").write_text(json.dumps({}))
    with pytest.raises(TrainingError, match="holds no finished run"):
        read_run(tmp_path, make_recipe())
