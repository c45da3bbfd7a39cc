"""Which service answers with which family of models, and how such a model is warmed up."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dragoman.v1 import (
    embedding_service_pb2,
    language_model_service_pb2,
    translation_service_pb2,
    vision_service_pb2,
)
from dragoman_server.model_protocols import (
    ServedClassifier,
    ServedDetector,
    ServedEmbedder,
    TextModel,
    TranslationModel,
    WordVectorModel,
)

EMBEDDING_SERVICE = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
TRANSLATION_SERVICE = translation_service_pb2.DESCRIPTOR.services_by_name[
    "TranslationService"
].full_name

LANGUAGE_MODEL_SERVICE = language_model_service_pb2.DESCRIPTOR.services_by_name[
    "LanguageModelService"
].full_name

VISION_SERVICE = vision_service_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name

# The families of models that look at images: each answers another call of the service.
IMAGE_CLASSIFIER = "image_classifier"
OBJECT_DETECTOR = "object_detector"
IMAGE_EMBEDDER = "image_embedder"
IMAGE_FAMILIES = (IMAGE_CLASSIFIER, OBJECT_DETECTOR, IMAGE_EMBEDDER)
# Where the processors are busy, models of images have what models of text leave them.
IMAGE_NICENESS = 10
CLASSIFY = f"{VISION_SERVICE}/Classify"
DETECT = f"{VISION_SERVICE}/Detect"
EMBED_IMAGE = f"{VISION_SERVICE}/EmbedImage"  # and Verify, which compares what it gives


@dataclass(frozen=True, kw_only=True)
class ServedFamily:
    """A family of models, the service that its models answer, and the setting of its default.

    `usual` answers calls that name no model where that is not set and several models could.
    `call` is the one call that they answer, where other families answer others of the service.
    """

    name: str
    service: str
    setting: str
    warm_up: Callable[[Any], None]  # a real call: the first one is slower than all others
    usual: str | None = None
    call: str = ""

    @property
    def target(self) -> str:
        """What a call asks the repository for: a service, or that call of it alone."""
        return self.call or self.service


def _warm_up_word_vectors(model: WordVectorModel) -> None:
    import numpy as np

    from dragoman_models.embeddings.word_queries import SearchOptions

    # By a vector, since no word is sure to be in the vocabulary.
    model.nearest([np.ones(model.dimensions)], SearchOptions(k=1))


def _warm_up_translator(model: TranslationModel) -> None:
    from dragoman_models.translation.translation_options import TranslationOptions

    model.translate(["One.", "One two."], TranslationOptions(max_length=8))


def _warm_up_language_model(model: TextModel) -> None:
    from dragoman_models.language_model.generation_options import GenerationOptions
    from dragoman_models.language_model.text_scores import TextToScore

    model.score([TextToScore(text="One."), TextToScore(text="One two.")])
    engine = model.engine()
    engine.join("One", GenerationOptions(max_tokens=3), seed=0)
    while engine.active:
        engine.step()


def _warm_up_classifier(model: ServedClassifier) -> None:
    model.classify(_grey_images(), top_k=1)


def _warm_up_detector(model: ServedDetector) -> None:
    from dragoman_models.vision.results import DetectionOptions

    model.detect(_grey_images(), DetectionOptions())


def _warm_up_embedder(model: ServedEmbedder) -> None:
    model.embed(_grey_images())


def _grey_images() -> list[bytes]:
    from PIL import Image

    images = []
    for kind in ("PNG", "JPEG"):
        content = io.BytesIO()
        Image.new("RGB", (96, 64), "grey").save(content, kind)
        images.append(content.getvalue())
    return images


SERVED_FAMILIES: tuple[ServedFamily, ...] = (
    ServedFamily(
        name="word-vectors",
        service=EMBEDDING_SERVICE,
        setting="default_models.embedding",
        warm_up=_warm_up_word_vectors,
        usual="glove-100d",
    ),
    ServedFamily(
        name="translation",
        service=TRANSLATION_SERVICE,
        setting="default_models.translation",
        warm_up=_warm_up_translator,
        usual="fr-en",
    ),
    ServedFamily(
        name="language_model",
        service=LANGUAGE_MODEL_SERVICE,
        setting="default_models.language_model",
        warm_up=_warm_up_language_model,
        usual="english-gru",
    ),
    ServedFamily(
        name=IMAGE_CLASSIFIER,
        service=VISION_SERVICE,
        call=CLASSIFY,
        setting="default_models.vision_classifier",
        warm_up=_warm_up_classifier,
        usual="fashion-mnist",
    ),
    ServedFamily(
        name=OBJECT_DETECTOR,
        service=VISION_SERVICE,
        call=DETECT,
        setting="default_models.vision_detector",
        warm_up=_warm_up_detector,
        usual="bccd",
    ),
    ServedFamily(
        name=IMAGE_EMBEDDER,
        service=VISION_SERVICE,
        call=EMBED_IMAGE,
        setting="default_models.vision_embedder",
        warm_up=_warm_up_embedder,
        usual="omniglot",
    ),
)
