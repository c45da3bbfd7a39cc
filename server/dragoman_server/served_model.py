"""A bundle loaded as this server serves it."""

from dragoman_models.bundle import Bundle
from dragoman_models.registry import load_model
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.vision.image_decoding import ImageLimits
from dragoman_server.encoded_images import over_encoded_images


def load_served_model(
    bundle: Bundle,
    *,
    translation: TranslationFamily | None = None,
    images: ImageLimits | None = None,
) -> object:
    """The model in `bundle`, with the methods that the services call; raises `BundleError`.

    Args:
        translation: how translators are to compute.
        images: the most that an image may hold.
    """
    model = load_model(bundle, translation=translation)
    return over_encoded_images(model, bundle.family, images or ImageLimits())
