"""The model families, in one explicit tuple: the one place where a new family is named."""

from dragoman_models.bundle import Bundle
from dragoman_models.embeddings.family import WordVectorsFamily
from dragoman_models.errors import BundleError, NotFoundError, quoted
from dragoman_models.family import ModelFamily
from dragoman_models.language_model.family import LanguageModelFamily
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.vision.classification.family import ImageClassifierFamily
from dragoman_models.vision.detection.family import ObjectDetectorFamily
from dragoman_models.vision.verification.family import ImageEmbedderFamily

FAMILIES: tuple[ModelFamily[object], ...] = (
    WordVectorsFamily(),
    TranslationFamily(),
    LanguageModelFamily(),
    ImageClassifierFamily(),
    ImageEmbedderFamily(),
    ObjectDetectorFamily(),
)


def family_named(name: str) -> ModelFamily[object]:
    """The family of this name; raises `NotFoundError` (resource type "family") otherwise."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise NotFoundError(
        "family", name, f"no model family is named {quoted(name)}; the families are: {known}"
    )


def load_model(bundle: Bundle, *, translation: TranslationFamily | None = None) -> object:
    """The model in `bundle`, loaded by its family; raises `BundleError` with the reason.

    Args: translation: how translators are to compute, where that is not by default.
    """
    try:
        family = family_named(bundle.family)
    except NotFoundError as error:
        raise BundleError(bundle.path, f"config.json: {error.description}") from error
    if translation is not None and family.name == translation.name:
        family = translation
    return family.load(bundle)
