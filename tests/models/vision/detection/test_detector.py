"""A loaded detector: what it answers, what it refuses, and its bundle."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.errors import BundleError, InvalidInputError
from dragoman_models.registry import load_model
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.detector import SingleShotDetector
from dragoman_models.vision.detection.evaluation import network_detections
from dragoman_models.vision.detection.folding import fold
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.onnx_network import OnnxNetwork
from dragoman_models.vision.results import DetectionOptions
from dragoman_models.weight_encoding import WeightEncoding, encode_weights

EVERYTHING = DetectionOptions(score_threshold=0.0, iou_threshold=0.5, max_detections=1000)


@pytest.fixture(scope="module")
def detector(network: DetectorNetwork, config: DetectorConfig) -> SingleShotDetector:
    folded = copy.deepcopy(network)
    fold(folded)
    return SingleShotDetector(OnnxNetwork(folded), config, score_threshold=0.3)


def picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class BrightSpots:
    """A network that sees an object of class 1, an anchor in size, where the input is white."""

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config

    def outputs(self, images: NDArray[np.float32]) -> list[torch.Tensor]:
        outputs = []
        for stride, anchors in zip(STRIDES, self._config.anchors, strict=True):
            rows, columns = images.shape[2] // stride, images.shape[3] // stride
            logits = torch.full((len(images), len(anchors), rows, columns, 7), -20.0)
            logits[..., :4] = 0
            middle = images[:, 0, stride // 2 :: stride, stride // 2 :: stride]
            if stride == 8:
                logits[:, 0, ..., 4] = torch.from_numpy(np.where(middle > 0.9, 5.0, -20.0))
            logits[..., 6] = 10.0
            outputs.append(logits)
        return outputs


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 96), (96, 200), (32, 64)])
def test_boxes_are_in_the_pixels_of_the_image(
    config: DetectorConfig, height: int, width: int
) -> None:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    scale = max(height, width) / config.input_size
    left, top = round(16 * scale), round(8 * scale)
    side = round(8 * scale)  # one cell of the finest stride
    image[top : top + side, left : left + side] = 255
    detector = SingleShotDetector(BrightSpots(config), config, score_threshold=0.5)
    ((found,),) = detector.detect([image], DetectionOptions())
    assert (found.label, found.class_id) == ("light", 1)
    assert found.score == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-3)
    corners = (found.box.x_min, found.box.y_min, found.box.x_max, found.box.y_max)
    np.testing.assert_allclose(corners, [16 * scale, 8 * scale, 24 * scale, 16 * scale], atol=scale)


@given(
    seed=st.integers(0, 99), height=st.integers(1, 150), width=st.integers(1, 150),
    threshold=st.sampled_from([0.0, 0.1, 0.3]), most=st.integers(1, 30),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_an_answer_keeps_what_its_options_promise(
    detector: SingleShotDetector, seed: int, height: int, width: int, threshold: float, most: int
) -> None:
    options = DetectionOptions(score_threshold=threshold, iou_threshold=0.5, max_detections=most)
    (found,) = detector.detect([picture(seed, height, width)], options)
    assert len(found) <= most
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert threshold <= one.score <= 1
        assert 0 <= one.box.x_min < one.box.x_max <= width
        assert 0 <= one.box.y_min < one.box.y_max <= height
        assert detector.labels[one.class_id] == one.label


def test_a_batch_answers_as_its_images_do_alone(detector: SingleShotDetector) -> None:
    images = [
        picture(seed, height, width)
        for seed, (height, width) in enumerate([(64, 64), (40, 90), (64, 64), (90, 40), (7, 7)] * 3)
    ]
    together = detector.detections(images, EVERYTHING)
    for image, found in zip(images, together, strict=True):
        (alone,) = detector.detections([image], EVERYTHING)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
    assert detector.detect([], EVERYTHING) == []


def test_it_answers_as_the_network_that_was_trained(
    detector: SingleShotDetector, network: DetectorNetwork
) -> None:
    image = picture(4, 50, 80)
    (found,) = detector.detections([image], EVERYTHING)
    expected = network_detections(network, image, score_threshold=0.0, iou_threshold=0.5, most=1000)
    assert len(found.scores) > 20
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_the_models_own_threshold_is_used_where_none_is_given(
    network: DetectorNetwork, detector: SingleShotDetector
) -> None:
    image = picture(5, 64, 64)
    (every,) = detector.detect([image], EVERYTHING)
    middle = every[len(every) // 2].score
    folded = copy.deepcopy(network)
    fold(folded)
    other = SingleShotDetector(OnnxNetwork(folded), network.config, score_threshold=middle)
    own = other.detect([image], DetectionOptions(iou_threshold=0.5))
    assert own == detector.detect(
        [image], DetectionOptions(score_threshold=middle, iou_threshold=0.5)
    )
    assert 0 < len(own[0]) < len(every)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"score_threshold": 1.5}, "options.score_threshold"),
        ({"score_threshold": float("nan")}, "options.score_threshold"),
        ({"iou_threshold": 0.0}, "options.iou_threshold"),
        ({"iou_threshold": float("nan")}, "options.iou_threshold"),
        ({"max_detections": 0}, "options.max_detections"),
        ({"max_detections": 1001}, "options.max_detections"),
    ],
)
def test_options_out_of_range_are_named(
    detector: SingleShotDetector, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        detector.detect([picture(1, 8, 8)], DetectionOptions(**changed))
    assert [one.field for one in caught.value.violations] == [field]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_what_is_no_image_is_named(detector: SingleShotDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match=r"images\[1\]"):
        detector.detect([picture(1, 8, 8), np.zeros(shape, dtype=np.uint8)], EVERYTHING)


def write(folder: Path, network: DetectorNetwork, /, **changes: Any) -> Path:
    folded = copy.deepcopy(network)
    fold(folded)
    config = {
        "family": "object_detector",
        "network": network.config.model_dump(mode="json"),
        "score_threshold": 0.25,
        **changes,
    }
    write_bundle(
        folder / "discs" / "1", config=config, files={}, metrics={}, card="# Discs\n",
        tensors=encode_weights(folded.state_dict(), WeightEncoding.FLOAT16),
    )  # fmt: skip
    return folder / "discs" / "1"


def test_a_bundle_gives_the_detector_back(
    detector: SingleShotDetector, network: DetectorNetwork, tmp_path: Path
) -> None:
    loaded = load_model(read_bundle(write(tmp_path, network)))
    assert isinstance(loaded, SingleShotDetector)
    assert loaded.score_threshold == 0.25
    assert loaded.labels == detector.labels
    image = picture(6, 60, 60)
    (found,) = loaded.detections([image], EVERYTHING)
    (expected,) = detector.detections([image], EVERYTHING)
    assert found.scores[0] == pytest.approx(expected.scores[0], abs=0.05)  # 16-bit weights


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score_threshold": None}, "score_threshold must be"),
        ({"score_threshold": 2.0}, "score_threshold must be"),
        ({"network": None}, "is no object detector"),
        ({"network": {"labels": []}}, "is no object detector"),
    ],
)
def test_a_bundle_with_a_wrong_config_is_refused(
    network: DetectorNetwork, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        load_model(read_bundle(write(tmp_path, network, **changes)))


@pytest.mark.parametrize("width", [16, 512])
def test_weights_of_another_network_are_refused_before_it_is_made(
    network: DetectorNetwork, tmp_path: Path, width: int
) -> None:
    other = network.config.model_dump(mode="json") | {"neck_channels": width}
    with pytest.raises(BundleError, match="is no object detector"):
        load_model(read_bundle(write(tmp_path, network, network=other)))
