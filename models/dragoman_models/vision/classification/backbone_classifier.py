"""A published backbone as an ONNX graph, run by onnxruntime, with a linear head."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError
from dragoman_models.vision.classification.preparation import Floats

GRAPH = "backbone.onnx"
WEIGHT = "head.weight"  # (classes, features)
BIAS = "head.bias"  # (classes,)
IMAGES, FEATURES = "images", "features"  # the graph's input and output


class Backbone(Protocol):
    """What turns standardized images into features."""

    def features(self, images: Floats) -> Floats:
        """(N, channels, height, width), N from 1 -> (N, features)."""
        ...


class OnnxBackbone:
    """An ONNX graph from `images` (N, channels, height, width) to `features` (N, features)."""

    def __init__(self, graph: bytes) -> None:
        """Raises ValueError for what is no such graph, ModuleNotFoundError without onnxruntime."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; they are raised as well
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own types, which derive from nothing else
            raise ValueError(f"{GRAPH} is no readable graph: {_first_line(error)}") from error
        inputs = [one.name for one in self._session.get_inputs()]
        outputs = [one.name for one in self._session.get_outputs()]
        if inputs != [IMAGES] or outputs != [FEATURES]:
            raise ValueError(
                f"{GRAPH} must go from {IMAGES} to {FEATURES}, not from {inputs} to {outputs}"
            )

    def features(self, images: Floats) -> Floats:
        """(N, channels, height, width), N from 1 -> (N, features)."""
        answer: Floats = self._session.run(None, {IMAGES: images})[0]
        return answer


class BackboneLogits:
    """features W^T + b."""

    def __init__(self, backbone: Backbone, weight: Floats, bias: Floats) -> None:
        """weight: (classes, features); bias: (classes,)."""
        self.backbone = backbone
        self.weight = weight
        self.bias = bias

    def logits(self, images: Floats) -> Floats:
        """(N, channels, height, width) -> (N, classes)."""
        return np.asarray(self.backbone.features(images) @ self.weight.T + self.bias)


def backbone_logits(bundle: Bundle, classes: int) -> BackboneLogits:
    """The network of a bundle.

    Raises:
        BundleError: onnxruntime is not installed.
        ValueError: graph or head do not fit.
    """
    weight, bias = head_tensors(bundle)
    if bias.shape != (classes,) or weight.ndim != 2 or len(weight) != classes:
        raise ValueError(
            f"{WEIGHT} {weight.shape} and {BIAS} {bias.shape} are not of {classes} labels"
        )
    network = BackboneLogits(read_backbone(bundle), weight, bias)
    _try_out(network, bundle.config.get("preparation"))
    return network


def read_backbone(bundle: Bundle) -> OnnxBackbone:
    """The graph of a bundle; raises `BundleError` without onnxruntime, ValueError for no graph."""
    try:
        return OnnxBackbone(bundle.file(GRAPH))
    except ModuleNotFoundError as error:
        raise BundleError(
            bundle.path,
            f"needs the package {error.name}, which is not installed: "
            "pip install 'dragoman[backbone]'",
        ) from error


def head_tensors(bundle: Bundle) -> tuple[Floats, Floats]:
    """(classes, features) and (classes,) of float32; raises `ValueError` where they are missing."""
    tensors: dict[str, NDArray[Any]] = bundle.numpy_tensors()
    if set(tensors) != {WEIGHT, BIAS}:
        raise ValueError(f"the weights must be {WEIGHT} and {BIAS}, not {sorted(tensors)}")
    return tensors[WEIGHT].astype(np.float32), tensors[BIAS].astype(np.float32)


def _try_out(network: BackboneLogits, preparation: Any) -> None:
    """A graph of other sizes fails here, when it is loaded, and not for who asks first."""
    shape = (1, preparation["channels"], preparation["height"], preparation["width"])
    try:
        network.logits(np.zeros(shape, np.float32))
    except Exception as error:  # onnxruntime's own types, and numpy's
        raise ValueError(f"{GRAPH} and its head do not fit: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
