"""The language model family: what turns a bundle into a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError

if TYPE_CHECKING:
    from dragoman_models.language_model.language_model import LanguageModel


class LanguageModelFamily:
    """Recurrent networks that predict the next token (family ``language_model``)."""

    name = "language_model"

    def load(self, bundle: Bundle) -> LanguageModel:
        """The language model in ``bundle``.

        Raises `BundleError` where a part is missing, or the weights are not those of the network
        that config.json describes.
        """
        from pydantic import ValidationError  # torch is heavy: only who loads a model pays

        from dragoman_models.language_model.config import NetworkConfig
        from dragoman_models.language_model.language_model import LanguageModel
        from dragoman_models.language_model.network import LanguageModelNetwork
        from dragoman_models.language_model.text_vocabulary import (
            read_vocabulary,
            vocabulary_file,
        )
        from dragoman_models.vocabulary import VocabularyError
        from dragoman_models.weight_encoding import check_enough

        kind = bundle.config.get("vocabulary")
        if kind not in ("words", "characters", "subwords"):
            raise BundleError(
                bundle.path, "config.json: vocabulary must be words, characters or subwords"
            )
        try:
            vocabulary = read_vocabulary(kind, bundle.file(vocabulary_file(kind)))
            config = NetworkConfig.model_validate(bundle.config.get("network"))
            weights = {name: weight.float() for name, weight in bundle.torch_tensors().items()}
            check_enough((one.shape for one in weights.values()), config.fewest_weights())
            network = LanguageModelNetwork(config)
            network.load_state_dict(weights, assign=True)  # not copied: they may be mapped
        except (ValidationError, RuntimeError, ValueError, VocabularyError) as error:
            raise BundleError(bundle.path, f"is no language model: {error}") from error
        if vocabulary.size != config.vocabulary_size:
            raise BundleError(
                bundle.path,
                f"{vocabulary_file(kind)} has {vocabulary.size} tokens, but config.json says "
                f"{config.vocabulary_size}",
            )
        match bundle.config.get("language", ""):
            case str(language):
                return LanguageModel(network, vocabulary, language=language)
        raise BundleError(bundle.path, 'config.json: language must be a tag, as "en"')
