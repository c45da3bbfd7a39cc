"""The image classifier family: what turns a bundle into an image classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError

if TYPE_CHECKING:
    from dragoman_models.vision.classification.image_classifier import (
        ImageClassifier,
        ImageNetwork,
    )

RESIDUAL = "residual"
BACKBONE = "backbone"


class ImageClassifierFamily:
    """Networks that say which class an image is of (family ``image_classifier``).

    config.json's `network_kind` says which network: "residual", a small one in safetensors, or
    "backbone", an ONNX graph that gives features, with a linear head in safetensors.
    """

    name = "image_classifier"

    def load(self, bundle: Bundle) -> ImageClassifier:
        """The image classifier in ``bundle``.

        Raises `BundleError` where a part is missing, or the weights are not those of the network
        that config.json describes.
        """
        from pydantic import ValidationError  # torch is heavy: only who loads a model pays

        from dragoman_models.vision.classification.image_classifier import ImageClassifier
        from dragoman_models.vision.classification.preparation import ImagePreparation

        kind, config = bundle.config.get("network_kind"), bundle.config
        if kind not in (RESIDUAL, BACKBONE):
            raise BundleError(
                bundle.path, f"config.json: network_kind must be {RESIDUAL} or {BACKBONE}"
            )
        labels = _labels(bundle)
        try:
            preparation = ImagePreparation.model_validate(config.get("preparation"))
            if kind == RESIDUAL:
                network: ImageNetwork = _residual(bundle, len(labels), preparation.channels)
            else:
                network = _backbone(bundle, len(labels))
        except (ValidationError, RuntimeError, ValueError) as error:
            raise BundleError(bundle.path, f"is no image classifier: {error}") from error
        return ImageClassifier(
            network,
            labels=labels,
            preparation=preparation,
            mirror_average=config.get("mirror_average") is True,
        )


def _labels(bundle: Bundle) -> list[str]:
    labels: Any = bundle.config.get("labels")
    if (
        not isinstance(labels, list)
        or len(labels) < 2
        or not all(isinstance(label, str) and label for label in labels)
    ):
        raise BundleError(bundle.path, "config.json: labels must be two or more texts, none empty")
    return labels


def _residual(bundle: Bundle, classes: int, channels: int) -> ImageNetwork:
    from dragoman_models.vision.classification.network import ResidualNetwork
    from dragoman_models.vision.classification.network_config import ResidualNetworkConfig
    from dragoman_models.vision.classification.residual_classifier import ResidualLogits
    from dragoman_models.weight_encoding import check_enough

    config = ResidualNetworkConfig.model_validate(bundle.config.get("network"))
    if config.classes != classes or config.channels != channels:
        raise ValueError(
            f"config.json names {classes} labels and {channels} channels, its network "
            f"{config.classes} and {config.channels}"
        )
    weights = {name: weight.float() for name, weight in bundle.torch_tensors().items()}
    check_enough((one.shape for one in weights.values()), config.fewest_weights())
    network = ResidualNetwork(config, folded=True)
    network.load_state_dict(weights, assign=True)  # not copied: they may be mapped
    return ResidualLogits(network)


def _backbone(bundle: Bundle, classes: int) -> ImageNetwork:
    from dragoman_models.vision.classification.backbone_classifier import backbone_logits

    return backbone_logits(bundle, classes)
