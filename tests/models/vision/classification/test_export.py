"""From a run to a bundle to answers: the same ones, and measured as they are given."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score

from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.errors import BundleError, InvalidInputError, TrainingError
from dragoman_models.registry import load_model
from dragoman_models.training_data import TrainingData
from dragoman_models.vision.classification.export import TrainedRun, export, figures_on, read_run
from dragoman_models.vision.classification.idx_files import read_idx_images
from dragoman_models.vision.classification.image_classifier import ImageClassifier
from dragoman_models.vision.classification.measure import classification_figures, rgb_images
from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.trainer import ClassifierTrainer

from .conftest import Recipes

DATA = TrainingData(description="bars", license="CC0-1.0", attribution="nobody")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Recipes) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    ClassifierTrainer(tiny_recipe(), folder).run(Progress(disable=True))
    return folder


@pytest.fixture(scope="module")
def trained(run_folder: Path, tiny_recipe: Recipes) -> TrainedRun:
    return read_run(run_folder, tiny_recipe())


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, trained: TrainedRun, idx_folder: Path
) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "shapes" / "1"
    test = figures_on(trained, read_idx_images(idx_folder, "t10k", 3))
    valid = figures_on(trained, trained.valid)
    export(trained, folder, test=test, valid=valid, data=DATA, command="export shapes")
    return read_bundle(folder)


def test_a_bundle_answers_as_the_trained_network(
    bundle: Bundle, run_folder: Path, tiny_recipe: Recipes, idx_folder: Path
) -> None:
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    trainer = ClassifierTrainer(tiny_recipe(), run_folder, resume=True)
    network = ResidualNetwork(trainer.network.config)
    network.load_state_dict(load_file(run_folder / "best.safetensors"))
    network.eval()
    images = read_idx_images(idx_folder, "t10k", 3)
    with torch.no_grad():
        batch = trainer.statistics.standardized(torch.from_numpy(images.pixels))
        expected = (network(batch).softmax(1) + network(batch.flip(3)).softmax(1)) / 2
    answers = classifier.probabilities(rgb_images(images.pixels))
    np.testing.assert_allclose(answers, expected.numpy(), atol=0.01)  # stored in 16 bits
    np.testing.assert_allclose(answers.sum(1), 1)


def test_the_likeliest_come_first(bundle: Bundle, idx_folder: Path) -> None:
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    images = rgb_images(read_idx_images(idx_folder, "t10k", 3).pixels)
    assert classifier.classify([]) == []
    for answer, row in zip(
        classifier.classify(images), classifier.probabilities(images), strict=True
    ):
        assert [one.class_id for one in answer] == sorted(range(3), key=lambda c: -row[c])
        assert [one.label for one in answer] == [classifier.labels[o.class_id] for o in answer]
        assert [one.probability for one in answer] == sorted(row, reverse=True)
    assert [len(answer) for answer in classifier.classify(images[:2], top_k=1)] == [1, 1]
    with pytest.raises(InvalidInputError, match="top_k: is 0"):
        classifier.classify(images, top_k=0)


def test_batches_of_any_size_give_the_same(bundle: Bundle) -> None:
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    chance = np.random.default_rng(3)
    images = [
        chance.integers(0, 256, (int(h), int(w), 3), dtype=np.uint8)
        for h, w in chance.integers(1, 40, (130, 2))
    ]
    together = classifier.probabilities(images)
    for row in (0, 63, 64, 129):
        alone = classifier.probabilities([images[row]])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_metrics_and_card_say_what_was_measured(bundle: Bundle, trained: TrainedRun) -> None:
    accuracy = bundle.metrics["test"]["accuracy"]
    assert bundle.metrics["test"]["images"] == 40
    assert sum(map(sum, bundle.metrics["test"]["confusion"])) == 40
    assert f"**{100 * accuracy:.2f} %**" in bundle.card
    for words in ("bars", "CC0-1.0", "nobody", "export shapes", "standing"):
        assert words in bundle.card
    assert bundle.config["labels"] == ["lying", "standing", "square"]
    assert len(bundle.metrics["learning_curve"]) == trained.recipe.epochs


def test_figures_are_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(8)
    gold, probabilities = chance.integers(0, 7, 300), chance.dirichlet(np.ones(8), 300)
    figures = classification_figures(probabilities, gold)
    said, labels = probabilities.argmax(1), list(range(8))
    assert figures.accuracy == pytest.approx(accuracy_score(gold, said))
    np.testing.assert_array_equal(figures.confusion, confusion_matrix(gold, said, labels=labels))
    options: dict[str, Any] = {"labels": labels, "average": None, "zero_division": np.nan}
    np.testing.assert_allclose(figures.recalls(), recall_score(gold, said, **options))
    np.testing.assert_allclose(figures.precisions(), precision_score(gold, said, **options))
    ranks = (probabilities > probabilities[np.arange(300), gold][:, None]).sum(1)
    assert figures.in_first_five == (ranks < 5).sum()
    assert figures.as_metrics(["c"] * 8)["classes"][7]["recall"] is None


Changes = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(network_kind="forest"), "network_kind must be residual or backbone"),
        (lambda c: c.update(labels=["one"]), "labels must be two or more texts"),
        (lambda c: c.update(labels=["a", "b", "c", "d"]), "4 labels"),
        (lambda c: c["network"].update(widths=[8, 4096], blocks=[1, 64]), "at least"),
        (lambda c: c["network"].update(widths=[12, 8]), "no image classifier"),
        (lambda c: c["preparation"].update(channels=3), "must have a finite number"),
        (lambda c: c.pop("preparation"), "no image classifier"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    bundle: Bundle, change: Changes, message: str
) -> None:
    config: dict[str, Any] = json.loads(json.dumps(bundle.config))
    change(config)
    with pytest.raises(BundleError, match=message):
        load_model(dataclasses.replace(bundle, config=config))


def test_an_unfinished_run_is_refused(tmp_path: Path, tiny_recipe: Recipes) -> None:
    with pytest.raises(TrainingError, match="no finished run"):
        read_run(tmp_path, tiny_recipe())
