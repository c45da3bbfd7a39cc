"""The shipped classifier knows clothes that are drawn, on paper of any tone and on black."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import dragoman_models
from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.registry import load_model
from dragoman_models.vision.classification.image_classifier import ImageClassifier
from dragoman_models.vision.results import RgbImage

Outline = list[tuple[int, int]]
SHAPES: dict[str, list[Outline]] = {
    "Trouser": [
        [(65, 10), (135, 10), (148, 190), (112, 190), (100, 60), (88, 190), (52, 190)],
    ],
    "T-shirt/top": [
        [(60, 20), (85, 15), (100, 28), (115, 15), (140, 20), (190, 70), (165, 95), (143, 72),
         (143, 185), (57, 185), (57, 72), (35, 95), (10, 70)],
    ],
    "Dress": [
        [(80, 8), (90, 8), (100, 25), (110, 8), (120, 8), (122, 80), (145, 192), (55, 192),
         (78, 80)],
    ],
    "Bag": [
        [(25, 70), (175, 70), (185, 170), (15, 170)],
        [(60, 70), (68, 30), (132, 30), (140, 70), (130, 70), (124, 40), (76, 40), (70, 70)],
    ],
    "Ankle boot": [
        [(95, 20), (165, 20), (170, 120), (178, 180), (20, 180), (18, 160), (40, 140), (90, 110)],
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    root = Path(next(iter(dragoman_models.__path__)))
    return read_bundle(root / "pretrained" / "fashion-mnist" / "1")


def drawn(name: str, ink: int, paper: int) -> RgbImage:
    image = Image.new("RGB", (200, 200), (paper,) * 3)
    for outline in SHAPES[name]:
        ImageDraw.Draw(image).polygon(outline, fill=(ink,) * 3)
    return np.asarray(image)


@pytest.mark.parametrize(("ink", "paper"), [(60, 255), (200, 0), (90, 200)])
def test_it_knows_what_is_drawn(bundle: Bundle, ink: int, paper: int) -> None:
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    answers = classifier.classify([drawn(name, ink, paper) for name in SHAPES], top_k=1)
    assert [answer[0].label for answer in answers] == list(SHAPES)
    assert min(answer[0].probability for answer in answers) > 0.5


def test_its_size_and_figures_are_those_promised(bundle: Bundle) -> None:
    assert sum(path.stat().st_size for path in bundle.path.iterdir()) <= 2_000_000
    test = bundle.metrics["test"]
    assert test["accuracy"] >= 0.935
    assert test["accuracy"] == sum(test["confusion"][k][k] for k in range(10)) / test["images"]
    assert f"**{100 * test['accuracy']:.2f} %**" in bundle.card
