"""Which service answers with which family of models, and how such a model is warmed up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dragoman.v1 import (
    embedding_service_pb2,
    language_model_service_pb2,
    translation_service_pb2,
)
from dragoman_server.model_protocols import TextModel, TranslationModel, WordVectorModel

EMBEDDING_SERVICE = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
TRANSLATION_SERVICE = translation_service_pb2.DESCRIPTOR.services_by_name[
    "TranslationService"
].full_name

LANGUAGE_MODEL_SERVICE = language_model_service_pb2.DESCRIPTOR.services_by_name[
    "LanguageModelService"
].full_name


@dataclass(frozen=True, kw_only=True)
class ServedFamily:
    """A family of models, the service that its models answer, and the setting of its default.

    `usual` answers calls that name no model where that is not set and several models could.
    """

    name: str
    service: str
    setting: str
    warm_up: Callable[[Any], None]  # a real call: the first one is slower than all others
    usual: str | None = None


def _warm_up_word_vectors(model: WordVectorModel) -> None:
    import numpy as np

    from dragoman_models.embeddings.word_vectors import SearchOptions

    # By a vector, since no word is sure to be in the vocabulary.
    model.nearest([np.ones(model.dimensions)], SearchOptions(k=1))


def _warm_up_translator(model: TranslationModel) -> None:
    from dragoman_models.translation.translation_options import TranslationOptions

    model.translate(["One.", "One two."], TranslationOptions(max_length=8))


def _warm_up_language_model(model: TextModel) -> None:
    from dragoman_models.language_model.generation_options import GenerationOptions
    from dragoman_models.language_model.scoring import TextToScore

    model.score([TextToScore(text="One."), TextToScore(text="One two.")])
    engine = model.engine()
    engine.join("One", GenerationOptions(max_tokens=3), seed=0)
    while engine.active:
        engine.step()


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
    ),
)
