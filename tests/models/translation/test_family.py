"""The family "translation": a bundle loads as the same translator, or is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.errors import BundleError
from dragoman_models.registry import load_model
from dragoman_models.tokenizer import SubwordTokenizer, train_tokenizer
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.family import SHORTLIST, TranslationFamily
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.shortlist import learn_shortlist
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

MakeNetwork = Callable[[NetworkConfig], TranslationNetwork]


def rounded(translator: Translator) -> dict[str, Tensor]:
    """The weights in 16 bits; the translator computes with the same values from here on."""
    weights = {name: weight.half() for name, weight in translator.network.state_dict().items()}
    translator.network.load_state_dict({name: w.float() for name, w in weights.items()})
    return weights


def write(
    folder: Path,
    translator: Translator,
    *,
    config: dict[str, Any] | None = None,
    tensors: dict[str, Tensor] | None = None,
    files: dict[str, bytes] | None = None,
) -> None:
    """A bundle of the translator, but for what is given."""
    whole = {
        "family": "translation",
        "network": translator.network.config.model_dump(),
        "source_languages": [translator.source_language],
        "target_languages": [translator.target_language],
        **(config or {}),
    }
    write_bundle(
        folder,
        config={name: value for name, value in whole.items() if value is not None},
        tensors=rounded(translator) if tensors is None else tensors,
        files={"tokenizer.model": translator.tokenizer.model_bytes} if files is None else files,
        metrics={},
        card="# Tiny\n",
    )


@pytest.fixture
def own_translator(
    small_config: NetworkConfig, make_network: MakeNetwork, tokenizer: SubwordTokenizer
) -> Translator:
    network = make_network(small_config)
    return Translator(network, tokenizer, source_language="fr", target_language="en")


def test_a_bundle_translates_as_its_translator(tmp_path: Path, own_translator: Translator) -> None:
    write(tmp_path / "tiny" / "1", own_translator)
    loaded = load_model(read_bundle(tmp_path / "tiny" / "1"))
    assert isinstance(loaded, Translator)
    assert (loaded.source_language, loaded.target_language) == ("fr", "en")
    sources = ["Tom dort.", "Où est la gare ?", "🙂 " * 20]
    options = TranslationOptions(beam_width=4, n_best=3, max_length=20)
    assert loaded.translate(sources, options) == own_translator.translate(sources, options)
    assert all(weight.dtype is torch.float32 for weight in loaded.network.state_dict().values())
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert not loaded.network.training


def test_languages_may_be_unsaid(tmp_path: Path, own_translator: Translator) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, config={"source_languages": None, "target_languages": None})
    loaded = load_model(read_bundle(folder))
    assert isinstance(loaded, Translator)
    assert (loaded.source_language, loaded.target_language) == ("", "")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"network": None}, "is no translator: "),
        ({"network": {"cell": "rnn"}}, r"is no translator: (.|\n)*cell\n"),
        ({"network": {"depth": 3}}, r"is no translator: (.|\n)*depth\n"),
        ({"network": {"vocabulary_size": 340, "decoder_size": 15}}, "network of config.json has"),
        ({"source_languages": "fr"}, "source_languages must be a list of one language"),
        ({"source_languages": ["fr", "de"]}, "source_languages must be a list of one language"),
        ({"target_languages": []}, "target_languages must be a list of one language"),
        ({"target_languages": [3]}, "target_languages must be a list of one language"),
    ],
)
def test_a_wrong_config_is_refused(
    tmp_path: Path, own_translator: Translator, config: dict[str, Any], reason: str
) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, config=config)
    with pytest.raises(BundleError, match=reason) as raised:
        load_model(read_bundle(folder))
    assert raised.value.path == folder


def without(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight for name, weight in weights.items() if name != "decoder.bridge.bias"}


def with_one_more(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "decoder.coverage": torch.ones(3)}


def of_another_shape(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "output_bias": weights["output_bias"][:-1]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without, r"the weight decoder\.bridge\.bias is missing"),
        (with_one_more, r"the weight decoder\.coverage belongs to no such network"),
        (of_another_shape, r"the weight output_bias is of shape \(339,\), not \(340,\)"),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path,
    own_translator: Translator,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    reason: str,
) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, tensors=change(rounded(own_translator)))
    with pytest.raises(BundleError, match=reason):
        load_model(read_bundle(folder))


@pytest.mark.parametrize("content", [b"", b"This is no tokenizer.", bytes(1000)])
def test_what_is_no_tokenizer_is_refused(
    tmp_path: Path, own_translator: Translator, content: bytes
) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, files={"tokenizer.model": content})
    with pytest.raises(BundleError, match="is no translator"):
        load_model(read_bundle(folder))


def test_a_tokenizer_of_another_size_is_refused(
    tmp_path: Path, own_translator: Translator, pairs: list[tuple[str, str]]
) -> None:
    smaller = train_tokenizer((side for pair in pairs for side in pair), vocabulary_size=310)
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, files={"tokenizer.model": smaller.model_bytes})
    with pytest.raises(BundleError, match=r"has 310 pieces, but config\.json says 340"):
        load_model(read_bundle(folder))


def test_a_missing_tokenizer_is_named(tmp_path: Path, own_translator: Translator) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator, files={})
    with pytest.raises(BundleError, match=r"the bundle has no file 'tokenizer\.model'"):
        load_model(read_bundle(folder))


@pytest.fixture(scope="module")
def suited_translator(make_network: MakeNetwork, tokenizer: SubwordTokenizer) -> Translator:
    """One that there are compiled loops for."""
    config = NetworkConfig(vocabulary_size=340, embedding_size=64, encoder_size=16, decoder_size=64)
    return Translator(make_network(config), tokenizer, source_language="fr", target_language="en")


def test_the_family_says_what_translators_compute_with(
    tmp_path: Path, suited_translator: Translator
) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, suited_translator)
    options = TranslationOptions(beam_width=4, n_best=3, max_length=20)
    sources = ["Tom dort.", "Où est la gare ?"]
    expected = suited_translator.translate(sources, options)
    found = {}
    for kind in (Arithmetic.PLAIN, Arithmetic.FLOAT32, Arithmetic.AUTO):
        family = TranslationFamily(arithmetic=kind)
        loaded = load_model(read_bundle(folder), translation=family)
        assert isinstance(loaded, Translator)
        found[kind] = loaded.translate(sources, options)
    assert found[Arithmetic.PLAIN] == expected
    for answer, other in zip(found[Arithmetic.FLOAT32], expected, strict=True):
        assert [one.tokens for one in answer] == [one.tokens for one in other]
    assert all(1 <= len(answer) <= 3 for answer in found[Arithmetic.AUTO])


def test_arithmetic_that_is_not_for_the_network_is_refused(
    tmp_path: Path, own_translator: Translator
) -> None:
    folder = tmp_path / "tiny" / "1"
    write(folder, own_translator)
    with pytest.raises(BundleError, match=r'cannot be loaded: float32 .* choose "plain" or "auto"'):
        TranslationFamily(arithmetic=Arithmetic.FLOAT32).load(read_bundle(folder))


@pytest.mark.parametrize("use_shortlist", [False, True])
def test_a_shortlist_is_used_where_it_is_asked_for(
    tmp_path: Path, suited_translator: Translator, use_shortlist: bool
) -> None:
    folder, tokenizer = tmp_path / "tiny" / "1", suited_translator.tokenizer
    shortlist = learn_shortlist([], vocabulary_size=340)  # the source's own pieces alone
    files = {"tokenizer.model": tokenizer.model_bytes, SHORTLIST: shortlist.to_bytes()}
    write(folder, suited_translator, config={"shortlist": True}, files=files)
    family = TranslationFamily(arithmetic=Arithmetic.FLOAT32, use_shortlist=use_shortlist)
    loaded = family.load(read_bundle(folder))
    ((best, *_),) = loaded.translate(["Tom dort."], TranslationOptions(max_length=12))
    assert (set(best.tokens) <= set(loaded.source_tokens("Tom dort."))) is use_shortlist


def test_a_damaged_shortlist_is_named(tmp_path: Path, suited_translator: Translator) -> None:
    folder = tmp_path / "tiny" / "1"
    files = {"tokenizer.model": suited_translator.tokenizer.model_bytes, SHORTLIST: b"none"}
    write(folder, suited_translator, config={"shortlist": True}, files=files)
    with pytest.raises(BundleError, match="shortlist cannot be read"):
        TranslationFamily(use_shortlist=True).load(read_bundle(folder))
