"""Small backbones: an EfficientNet-Lite with random weights, and mean colours; and a bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.utils import get_model_params

from dragoman_models.bundle import Bundle, read_bundle, write_bundle
from dragoman_models.vision.classification.preparation import ImagePreparation

PREPARATION = ImagePreparation(
    height=32, width=32, fitting="crop", crop_share=0.875, mean=(0.5,) * 3, deviation=(0.5,) * 3
)
FEATURES = 1280  # of the EfficientNet


def small_network() -> Any:
    """The first blocks of EfficientNet-Lite0, for images of 32 x 32, as after some training."""
    torch.manual_seed(1)
    blocks, parameters = get_model_params("efficientnet-lite0", {})
    network = EfficientNet(
        [blocks[0], blocks[1]._replace(num_repeat=2)], parameters._replace(image_size=32)
    )
    for name, value in network.state_dict().items():
        if "_bn" in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5)
    return network.eval()


def mean_colour_graph() -> bytes:
    """Images to the means of their three channels: features enough for plain colours."""
    shapes: dict[str, list[str | int]] = {"images": ["n", 3, 32, 32], "features": ["n", 3]}
    images, features = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    )
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["images"], ["means"]),
        onnx.helper.make_node("Flatten", ["means"], ["features"]),
    ]
    graph = onnx.helper.make_graph(nodes, "mean_colours", [images], [features])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    return bytes(model.SerializeToString())


def write_backbone(folder: Path, graph: bytes, *, features: int = 3, **changes: Any) -> Bundle:
    """A bundle of this graph with a random head for three classes."""
    chance = np.random.default_rng(1)
    config = {
        "family": "image_classifier", "network_kind": "backbone", "labels": ["a", "b", "c"],
        "parameter_count": 3 * features + 3, "preparation": PREPARATION.model_dump(mode="json"),
    }  # fmt: skip
    write_bundle(
        folder,
        config={**config, **changes.pop("config", {})},
        tensors={
            "head.weight": chance.normal(size=(3, features)).astype(np.float16),
            "head.bias": np.zeros(3, np.float16),
            **changes.pop("tensors", {}),
        },
        files={"backbone.onnx": graph, "LICENSE-some.txt": b"terms"},
        metrics={},
        card="# Small\n",
    )
    return read_bundle(folder)
