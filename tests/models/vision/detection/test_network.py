"""The network: its shapes, its folded form and its ONNX graph, which must all agree."""

import copy

import numpy as np
import onnx
import pytest
import torch

from dragoman_models.vision.detection.backbone import (
    FEATURE_CHANNELS,
    PART_COUNT,
    EfficientNetLiteBackbone,
    block_sizes,
)
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig
from dragoman_models.vision.detection.folding import fold, make_folded
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.onnx_graph import detector_graph
from dragoman_models.vision.detection.onnx_network import OnnxNetwork
from dragoman_models.vision.detection.pointwise import Pointwise


def images(seed: int, batch: int = 2, height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_each_stride_predicts_for_each_anchor_and_cell(network: DetectorNetwork) -> None:
    outputs = network(images(1))
    for one, anchors, stride in zip(outputs, network.config.anchors, STRIDES, strict=True):
        assert one.shape == (2, len(anchors), 64 // stride, 96 // stride, 5 + 2)


@torch.inference_mode()
def test_folding_changes_no_output(network: DetectorNetwork) -> None:
    folded = copy.deepcopy(network)
    fold(folded)
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in folded.modules())
    for one, other in zip(network(images(2)), folded(images(2)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    # What is loaded from a bundle has the same weights by the same names.
    shaped = DetectorNetwork(network.config)
    make_folded(shaped)
    shaped.load_state_dict(folded.state_dict())
    for one, other in zip(shaped(images(2)), folded(images(2)), strict=True):
        assert torch.equal(one, other)


@torch.inference_mode()
def test_the_graph_computes_what_torch_does_at_any_size(network: DetectorNetwork) -> None:
    folded = copy.deepcopy(network)
    fold(folded)
    onnx.checker.check_model(detector_graph(folded))
    session = OnnxNetwork(folded)
    for batch, height, width in ((1, 32, 32), (3, 64, 96), (1, 128, 32)):
        given = images(3, batch, height, width)
        for one, other in zip(session.outputs(given.numpy()), folded(given), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_an_unfolded_network_makes_no_graph(network: DetectorNetwork) -> None:
    with pytest.raises(ValueError, match="fold the network first"):
        detector_graph(network)


@torch.inference_mode()
def test_an_image_is_seen_alike_whatever_stands_beside_it(network: DetectorNetwork) -> None:
    both = network(images(4))
    alone = network(images(4)[1:])
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one[1:], other, atol=1e-5, rtol=1e-5)


def test_the_backbone_has_the_published_weights_of_efficientnet_lite0() -> None:
    backbone = EfficientNetLiteBackbone()
    assert len(block_sizes()) == 16
    assert len(backbone.parts()) == PART_COUNT
    features = backbone.eval()(images(1, 1, 64, 64))
    assert tuple(one.shape[1] for one in features) == FEATURE_CHANNELS
    own = backbone.state_dict()
    # 4,652,008 with its head and classes (the authors' count), of which the head has 1,693,160.
    weights = sum(one.numel() for one in backbone.parameters())
    assert weights == 4_652_008 - (320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000)
    other = {name: value + 1 for name, value in own.items()}
    backbone.load_published({**other, "_fc.bias": torch.zeros(1000)})
    assert torch.equal(backbone.state_dict()["_conv_stem.weight"], other["_conv_stem.weight"])
    with pytest.raises(ValueError, match=r"no fitting _blocks\.3\._project_conv\.weight"):
        backbone.load_published({**other, "_blocks.3._project_conv.weight": torch.zeros(1)})


def test_products_in_bfloat16_are_near_those_in_float32_and_learn_alike() -> None:
    torch.manual_seed(1)
    layer = Pointwise(24, 16, bias=True)
    given = torch.randn(2, 24, 5, 7).contiguous(memory_format=torch.channels_last)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        layer.product_dtype = dtype
        layer.zero_grad()
        output = layer(given)
        output.square().mean().backward()
        assert layer.weight.grad is not None
        results.append((output.detach(), layer.weight.grad.clone()))
    for one, other in zip(*results, strict=True):
        assert other.dtype == torch.float32
        scale = float(one.abs().max())
        np.testing.assert_allclose(other.numpy(), one.numpy(), atol=0.02 * scale)


def test_a_config_bounds_its_weights_from_below(
    config: DetectorConfig, network: DetectorNetwork
) -> None:
    assert config.fewest_weights() <= sum(one.numel() for one in network.parameters())
