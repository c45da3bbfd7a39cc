"""The translation family: what turns a bundle into a translator, and a translator into a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dragoman_models.bundle import Bundle
from dragoman_models.errors import BundleError
from dragoman_models.translation.arithmetic.choice import Arithmetic

if TYPE_CHECKING:
    from dragoman_models.translation.config import NetworkConfig
    from dragoman_models.translation.entity_repair import EntityRepair
    from dragoman_models.translation.shortlist import Shortlist
    from dragoman_models.translation.stored_network import StoredNetwork
    from dragoman_models.translation.translator import Translator
    from dragoman_models.translation.translator_texts import TranslatorTexts


KNOWN_WORDS = "known_words.txt"
SHORTLIST = "shortlist.safetensors"


@dataclass(frozen=True, kw_only=True)
class TranslationFamily:
    """Attention encoder-decoders with a subword vocabulary (family ``translation``).

    ``arithmetic`` is what searches compute with; where ``use_shortlist`` is true and a bundle has
    a shortlist, they look at its target pieces alone (see ``shortlist``).
    """

    name: str = "translation"
    arithmetic: Arithmetic = Arithmetic.AUTO
    use_shortlist: bool = False

    def load(self, bundle: Bundle) -> Translator:
        """The translator in ``bundle``.

        Raises `BundleError` where a part is missing, or the weights are not those of the network
        that config.json describes.
        """
        from dragoman_models.translation.translator import Translator

        network, texts = _read(bundle)
        try:
            return Translator(
                network, texts.tokenizer, source_language=texts.source_language,
                target_language=texts.target_language, repair=_repair(bundle),
                arithmetic=self.arithmetic,
                shortlist=_shortlist(bundle, network.config) if self.use_shortlist else None,
            )  # fmt: skip
        except (RuntimeError, ValueError) as error:
            raise BundleError(bundle.path, f"cannot be loaded: {error}") from error

    def texts(self, bundle: Bundle) -> TranslatorTexts:
        """What the translator in ``bundle`` knows without its network; raises as ``load`` does."""
        return _read(bundle)[1]


def _read(bundle: Bundle) -> tuple[StoredNetwork, TranslatorTexts]:
    """The network and its texts, checked against each other."""
    from pydantic import ValidationError  # heavy: only who loads a translator pays

    from dragoman_models.tokenizer import SubwordTokenizer
    from dragoman_models.translation.config import NetworkConfig
    from dragoman_models.translation.stored_network import StoredNetwork, check_shapes
    from dragoman_models.translation.translator_texts import TranslatorTexts
    from dragoman_models.weight_encoding import DecodedWeights, check_enough

    try:
        tokenizer = SubwordTokenizer(bundle.file("tokenizer.model"))
        config = NetworkConfig.model_validate(bundle.config.get("network"))
        weights = DecodedWeights(bundle.numpy_tensors())
        check_enough(weights.shapes.values(), config.fewest_weights())
        check_shapes(weights.shapes, config)
    except (ValidationError, RuntimeError, ValueError) as error:
        raise BundleError(bundle.path, f"is no translator: {error}") from error
    if tokenizer.vocabulary_size != config.vocabulary_size:
        raise BundleError(
            bundle.path,
            f"tokenizer.model has {tokenizer.vocabulary_size} pieces, but config.json says "
            f"{config.vocabulary_size}",
        )
    texts = TranslatorTexts(
        tokenizer=tokenizer,
        source_language=_language(bundle, "source"),
        target_language=_language(bundle, "target"),
    )
    return StoredNetwork(config, weights), texts


def _shortlist(bundle: Bundle, config: NetworkConfig) -> Shortlist | None:
    """The bundle's, where config.json says that it has one."""
    from dragoman_models.translation.shortlist import read_shortlist

    if not bundle.config.get("shortlist", False):
        return None
    return read_shortlist(bundle.file(SHORTLIST), vocabulary_size=config.vocabulary_size)


def _repair(bundle: Bundle) -> EntityRepair | None:
    """What brings names back, where the bundle says by which stand-ins."""
    from dragoman_models.translation.entity_repair import EntityRepair, stand_ins_of

    config = bundle.config.get("stand_ins")
    if config is None:
        return None
    known = bundle.file(KNOWN_WORDS).decode("utf-8").split("\n")
    return EntityRepair(stand_ins=stand_ins_of(config), known=frozenset(known))


def _language(bundle: Bundle, side: str) -> str:
    """The one language of a side; empty where config.json names none."""
    match bundle.config.get(f"{side}_languages", [""]):
        case [str(language)]:
            return language
    raise BundleError(
        bundle.path, f'config.json: {side}_languages must be a list of one language, as ["fr"]'
    )
