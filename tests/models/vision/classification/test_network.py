"""The residual network: folding changes nothing, images do not see each other."""

import copy

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.network_config import ResidualNetworkConfig

CONFIG = ResidualNetworkConfig(channels=3, classes=5, stem_width=4, widths=(6, 8), blocks=(2, 1))


def trained_network() -> ResidualNetwork:
    """In float64, with statistics and factors as after some training."""
    torch.manual_seed(3)
    network = ResidualNetwork(CONFIG).double()
    for name, value in network.state_dict().items():
        if "normalization" in name and value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5)
    return network.eval()


def images(count: int = 4) -> Tensor:
    chance = torch.Generator().manual_seed(2)
    return torch.randn(count, 3, 13, 11, generator=chance, dtype=torch.float64)


def normalized(x: Tensor, weights: dict[str, Tensor], name: str, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.convolution.weight"]
    x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    part = [
        weights[f"{name}.normalization.{key}"].view(1, -1, 1, 1)
        for key in ("running_mean", "running_var", "weight", "bias")
    ]
    return (x - part[0]) / (part[1] + 1e-5).sqrt() * part[2] + part[3]


def test_logits_are_those_of_the_equations() -> None:
    network, x = trained_network(), images()
    weights = dict(network.state_dict())
    expected = normalized(x, weights, "stem").relu()
    for block, stride in enumerate((2, 1, 2)):
        name = f"blocks.{block}"
        shortcut = expected
        if stride == 2:
            shortcut = F.avg_pool2d(expected, 2, ceil_mode=True, count_include_pad=False)
            shortcut = normalized(shortcut, weights, f"{name}.projection")
        inner = normalized(expected, weights, f"{name}.first", stride).relu()
        expected = (normalized(inner, weights, f"{name}.second") + shortcut).relu()
    expected = expected.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]
    torch.testing.assert_close(network(x), expected)


def test_folding_changes_no_answer_and_leaves_no_normalization() -> None:
    network, x = trained_network(), images()
    folded = copy.deepcopy(network)
    folded.fold()
    torch.testing.assert_close(folded(x), network(x))
    loaded = ResidualNetwork(CONFIG, folded=True).double().eval()
    loaded.load_state_dict(folded.state_dict())
    torch.testing.assert_close(loaded(x), network(x))
    assert sum(w.numel() for w in loaded.parameters()) >= CONFIG.fewest_weights()


def test_an_image_is_answered_alike_whatever_stands_beside_it() -> None:
    network, x = trained_network(), images()
    for row in range(len(x)):
        torch.testing.assert_close(network(x[row : row + 1]), network(x)[row : row + 1])


def test_a_block_begins_as_its_shortcut() -> None:
    torch.manual_seed(1)
    block = ResidualNetwork(CONFIG).double().eval().blocks[1]  # same sizes before and after
    x = torch.rand(2, 6, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(
    "change", [{"blocks": (1,)}, {"widths": (0, 3)}, {"blocks": (1, 0)}, {"channels": 4}]
)
def test_impossible_shapes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ResidualNetworkConfig.model_validate({**CONFIG.model_dump(), **change})
