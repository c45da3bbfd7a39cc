"""The image embedder family: what turns a bundle into an image embedder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError

if TYPE_CHECKING:
    from dragoman_models.vision.verification.image_embedder import ImageEmbedder

IMAGE_EMBEDDER = "image_embedder"


class ImageEmbedderFamily:
    """Networks that embed images for verification (family ``image_embedder``)."""

    name = IMAGE_EMBEDDER

    def load(self, bundle: Bundle) -> ImageEmbedder:
        """The image embedder in ``bundle``.

        Raises `BundleError` where the threshold is missing, or the weights are not those of the
        network that config.json describes.
        """
        from pydantic import ValidationError  # torch is heavy: only who loads a model pays

        from dragoman_models.vision.verification.image_embedder import ImageEmbedder
        from dragoman_models.vision.verification.network import EmbeddingConfig, EmbeddingNetwork
        from dragoman_models.weight_encoding import check_enough

        threshold = bundle.config.get("threshold")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float):
            raise BundleError(bundle.path, "config.json: threshold must be a distance, 0 to 2")
        try:
            config = EmbeddingConfig.model_validate(bundle.config.get("network"))
            weights = {name: weight.float() for name, weight in bundle.torch_tensors().items()}
            check_enough((one.shape for one in weights.values()), config.fewest_weights())
            network = EmbeddingNetwork(config)
            network.load_state_dict(weights)
            return ImageEmbedder(network, threshold=float(threshold))
        except (ValidationError, RuntimeError, ValueError) as error:
            raise BundleError(bundle.path, f"is no image embedder: {error}") from error
