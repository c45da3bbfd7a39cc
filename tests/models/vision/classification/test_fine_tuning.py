"""Heads on a frozen backbone: the minimum of their loss, on features computed once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.errors import BundleError, TrainingError
from dragoman_models.registry import load_model
from dragoman_models.vision.classification.feature_cache import FeatureCache
from dragoman_models.vision.classification.fine_tuning import FineTuningOptions, fine_tune
from dragoman_models.vision.classification.head_training import fitted_head, train_head
from dragoman_models.vision.classification.image_classifier import ImageClassifier
from dragoman_models.vision.classification.image_folders import read_image_folder
from dragoman_models.vision.classification.preparation import Floats
from dragoman_models.vision.image_decoding import read_image

from .backbone_maker import PREPARATION


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red, green and blue pictures with noise, and one file that is none."""
    folder = tmp_path_factory.mktemp("colours")
    chance = np.random.default_rng(4)
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for number in range(12):
            pixels = chance.integers(0, 90, (36, 40, 3), dtype=np.uint8)
            pixels[..., channel] += 130
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def options(images: Path, base: Bundle, out: Path, **changes: Any) -> FineTuningOptions:
    usual: dict[str, Any] = {
        "images": images, "backbone": base.path, "out": out / "run",
        "bundle": out / "colours" / "1", "command": "train", "valid_share": 0.2,
        "test_share": 0.25, "data": "squares", "data_license": "CC0-1.0",
    }  # fmt: skip
    return FineTuningOptions(**{**usual, **changes})


def test_a_folder_becomes_a_classifier(images: Path, small_bundle: Bundle, tmp_path: Path) -> None:
    chosen = options(images, small_bundle, tmp_path)
    done = fine_tune(chosen)
    assert done.test is not None
    assert done.test.images == 9
    assert done.test.accuracy == 1
    assert [path.name for path, _ in done.folder.skipped] == ["broken.png"]
    bundle = read_bundle(chosen.bundle)
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    assert classifier.labels == ("blue", "green", "red")
    rows = [done.folder.files[row] for row in done.split.test]
    answers = classifier.classify([read_image(one.path) for one in rows], top_k=1)
    assert [answer[0].class_id for answer in answers] == [one.class_id for one in rows]
    assert bundle.metrics["test"]["confusion"] == done.test.confusion.tolist()
    assert "squares" in bundle.card
    assert "**100.00 %** of 9 images" in bundle.card
    assert bundle.file("LICENSE-some.txt") == b"terms"
    assert len((chosen.out / "log.csv").read_text().splitlines()) == 8


class CountingBackbone:
    """Gives the mean colours, and counts what it was asked."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.images = 0
        self.fails_after = fails_after

    def features(self, images: Floats) -> Floats:
        if self.fails_after is not None and self.images >= self.fails_after:
            raise KeyboardInterrupt
        self.images += len(images)
        return np.asarray(images[:, :, :4].mean(axis=(2, 3)) + images[:, :, :, :4].mean((2, 3)))


def test_features_are_computed_once_and_kept(images: Path, tmp_path: Path) -> None:
    files = read_image_folder(images).files
    first, second = CountingBackbone(), CountingBackbone()
    features = FeatureCache(tmp_path, first, "one").features(files, PREPARATION)
    assert features.shape == (36, 2, 3)
    assert first.images == 72
    batch = PREPARATION.prepared([read_image(files[5].path)])
    np.testing.assert_allclose(features[5, 0], first.features(batch)[0], rtol=1e-6)
    np.testing.assert_allclose(features[5, 1], first.features(batch[..., ::-1])[0], rtol=1e-6)
    again = FeatureCache(tmp_path, second, "one").features(files[::-1], PREPARATION)
    assert second.images == 0
    np.testing.assert_array_equal(again, features[::-1])
    FeatureCache(tmp_path, second, "another").features(files, PREPARATION)
    assert second.images == 72


def test_a_damaged_cache_is_named(images: Path, tmp_path: Path) -> None:
    files = read_image_folder(images).files
    FeatureCache(tmp_path, CountingBackbone(), "one").features(files, PREPARATION)
    path = tmp_path / "features.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TrainingError, match=r"cannot read .*features\.safetensors.*remove it"):
        FeatureCache(tmp_path, CountingBackbone(), "one")


def test_a_run_goes_on_and_others_are_refused(
    images: Path, small_bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        fine_tune(options(images, small_bundle, tmp_path), resume=True)
    first = fine_tune(options(images, small_bundle, tmp_path))
    with pytest.raises(BundleError, match="already exists"):
        fine_tune(options(images, small_bundle, tmp_path))
    second = options(images, small_bundle, tmp_path, bundle=tmp_path / "colours" / "2")
    with pytest.raises(TrainingError, match="give --resume or another folder"):
        fine_tune(second)
    fine_tune(second, resume=True)
    own, other = (read_bundle(tmp_path / "colours" / version) for version in "12")
    assert own.checksums["weights.safetensors"] == other.checksums["weights.safetensors"]
    assert first.choices


@pytest.mark.parametrize(
    "shares", [{"valid_share": 0.0}, {"test_share": -0.1}, {"valid_share": 0.6, "test_share": 0.4}]
)
def test_impossible_shares_are_refused(
    images: Path, small_bundle: Bundle, tmp_path: Path, shares: dict[str, float]
) -> None:
    with pytest.raises(TrainingError, match="valid_share must be above 0"):
        fine_tune(options(images, small_bundle, tmp_path, **shares))


def test_a_bundle_without_a_backbone_is_refused(
    images: Path, small_bundle: Bundle, tmp_path: Path
) -> None:
    glove = Path(__file__).parents[4] / "models/dragoman_models/pretrained/glove-100d/1"
    with pytest.raises(BundleError, match="has no backbone to train a head on"):
        fine_tune(options(images, small_bundle, tmp_path, backbone=glove))


def test_the_head_is_the_minimum_of_its_loss() -> None:
    chance = np.random.default_rng(6)
    features = (chance.normal(size=(60, 5)) * [1, 3, 0.2, 1, 0] + [0, 4, 1, -2, 7]).astype(
        np.float32
    )
    classes = chance.integers(0, 3, 60)
    head = fitted_head(features, classes, 3, 0.1)
    mean, deviation = features.mean(0), features.std(0)
    deviation[4] = np.inf
    scaled = torch.tensor((features - mean) / deviation, dtype=torch.float64)
    weight = torch.tensor(head.weight * np.where(np.isinf(deviation), 0, deviation)).double()
    bias = torch.tensor(head.bias + head.weight @ mean).double()
    weight.requires_grad_()
    bias.requires_grad_()
    loss = F.cross_entropy(scaled @ weight.T + bias, torch.tensor(classes))
    (loss + 0.1 / 6 * weight.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.abs().max()) < 1e-5
    assert float(bias.grad.abs().max()) < 1e-5
    assert not head.weight[:, 4].any()


def test_the_penalty_is_chosen_by_the_images_held_out() -> None:
    chance = np.random.default_rng(7)
    features = chance.normal(size=(300, 20)).astype(np.float32)
    noisy = features[:, 0] + 2 * chance.normal(size=300)
    classes = (noisy > 0).astype(np.int64)
    part = slice(0, 40), slice(40, 300)
    head, choices = train_head(
        (features[part[0]], classes[part[0]]), (features[part[1]], classes[part[1]]), 2
    )
    losses = [choice.valid_loss for choice in choices]
    best = min(choices, key=lambda choice: choice.valid_loss)
    assert losses.index(min(losses)) < len(losses) - 1  # the least penalty fits the noise
    again = fitted_head(features[part[0]], classes[part[0]], 2, best.strength)
    np.testing.assert_array_equal(head.weight, again.weight)
    assert choices[-1].train_loss < choices[0].train_loss
