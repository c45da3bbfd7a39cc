"""The object detector family: what turns a bundle into a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError

if TYPE_CHECKING:
    from dragoman_models.vision.detection.detector import SingleShotDetector


class ObjectDetectorFamily:
    """Single-shot detectors with anchors (family ``object_detector``)."""

    name = "object_detector"

    def load(self, bundle: Bundle) -> SingleShotDetector:
        """The detector in ``bundle``.

        Raises `BundleError` where the weights are not those of the network that config.json
        describes, or its score threshold is missing.
        """
        from pydantic import ValidationError  # torch is heavy: only who loads a model pays

        from dragoman_models.vision.detection.config import DetectorConfig
        from dragoman_models.vision.detection.detector import SingleShotDetector
        from dragoman_models.vision.detection.folding import make_folded
        from dragoman_models.vision.detection.network import DetectorNetwork
        from dragoman_models.vision.detection.onnx_network import OnnxNetwork
        from dragoman_models.weight_encoding import check_enough, decode_weights

        threshold = bundle.config.get("score_threshold")
        if not isinstance(threshold, float) or not 0 <= threshold <= 1:
            raise BundleError(bundle.path, "config.json: score_threshold must be 0.0 to 1.0")
        try:
            config = DetectorConfig.model_validate(bundle.config.get("network"))
            weights = decode_weights(bundle.torch_tensors())
            check_enough((one.shape for one in weights.values()), config.fewest_weights())
            network = DetectorNetwork(config)
            make_folded(network)
            network.load_state_dict(weights)
            return SingleShotDetector(OnnxNetwork(network), config, score_threshold=threshold)
        except (ValidationError, RuntimeError, ValueError) as error:
            raise BundleError(bundle.path, f"is no object detector: {error}") from error
