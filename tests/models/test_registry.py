"""Laws of the registry: every family has its own name, and an unknown one is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from dragoman_models.bundle import is_model_name, read_bundle, write_bundle
from dragoman_models.errors import BundleError, NotFoundError
from dragoman_models.registry import FAMILIES, family_named, load_model


def test_names_are_distinct_and_find_their_family() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert is_model_name(family.name)
        assert family_named(family.name) is family


def test_word_vectors_are_a_family() -> None:
    assert "word-vectors" in {family.name for family in FAMILIES}


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFoundError) as caught:
        family_named("word-vektors")
    assert caught.value.resource_type == "family"
    assert caught.value.resource_name == "word-vektors"
    assert all(family.name in str(caught.value) for family in FAMILIES)


def test_a_bundle_of_an_unknown_family_is_refused(tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "odd" / "3",
        config={"family": "horoscope"},
        tensors={"stars": np.zeros(1, dtype=np.float32)},
        files={},
        metrics={},
        card="# Odd\n",
    )
    bundle = read_bundle(tmp_path / "odd" / "3")
    with pytest.raises(BundleError, match=r"config\.json: no model family is named 'horoscope'"):
        load_model(bundle)
