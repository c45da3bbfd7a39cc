"""Lexical shortlists: what is learnt, what is kept on disk, and what is refused."""

import random

import numpy as np
import pytest
import safetensors.numpy

from dragoman_models.translation.shortlist import Shortlist, learn_shortlist, read_shortlist

V = 100


def cipher_pairs(count: int) -> list[tuple[list[int], list[int]]]:
    """Source piece i, 10 to 39, always becomes 50 + i, in any order, with piece 45 everywhere."""
    rng = random.Random(1)
    pairs = []
    for _ in range(count):
        source = [rng.randint(10, 39) for _ in range(rng.randint(1, 8))]
        target = [45, *(50 + piece for piece in source)]
        rng.shuffle(target)
        pairs.append((source, target))
    return pairs


def test_learns_what_pieces_become() -> None:
    shortlist = learn_shortlist(cipher_pairs(600), vocabulary_size=V, common=1, per_piece=2)
    assert shortlist.common.tolist() == [0, 1, 2, 3, 45]
    for piece in range(10, 40):
        assert 50 + piece in shortlist.tokens_for([piece, 3])
    sizes = np.diff(shortlist.starts)
    assert sizes.max() <= 2
    assert sizes[60:].sum() == 0  # never a source piece


def test_a_list_holds_the_special_tokens_first_and_the_source_s_own_pieces() -> None:
    shortlist = learn_shortlist(cipher_pairs(50), vocabulary_size=V)
    tokens = shortlist.tokens_for([98, 12, 12, 3])
    assert tokens[:4].tolist() == [0, 1, 2, 3]
    assert {98, 12} <= set(tokens.tolist())
    assert (np.diff(tokens) > 0).all()


def test_no_text_gives_an_empty_list() -> None:
    for pairs in ([], [([], [5]), ([5], [])]):
        shortlist = learn_shortlist(pairs, vocabulary_size=V)
        assert shortlist.tokens_for([7, 3]).tolist() == [0, 1, 2, 3, 7]


def test_reads_back_what_it_wrote() -> None:
    shortlist = learn_shortlist(cipher_pairs(50), vocabulary_size=V)
    again = read_shortlist(shortlist.to_bytes(), vocabulary_size=V)
    for name in ("common", "starts", "tokens"):
        np.testing.assert_array_equal(getattr(again, name), getattr(shortlist, name))


def stored(**changed: list[int]) -> bytes:
    parts = {"common": [0, 1, 2, 3], "starts": [0] * V + [2], "tokens": [7, 8], **changed}
    return safetensors.numpy.save({
        name: np.array(values, np.int32) for name, values in parts.items()
    })  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cannot be read"),
        (stored()[:-3], "cannot be read"),
        (safetensors.numpy.save({"common": np.arange(4)}), "cannot be read"),
        (stored(starts=[0] * V), "a list for each of 100 pieces"),
        (stored(starts=[0] * V + [3]), "begin at 0"),
        (stored(starts=[1] * V + [2]), "begin at 0"),
        (stored(starts=[0, 2] + [1] * (V - 2) + [2]), "begin at 0"),
        (stored(tokens=[7, V]), "beyond 100"),
        (stored(tokens=[-1, 7]), "beyond 100"),
        (stored(common=[0, 1, 2]), "pad, unk, bos and eos"),
    ],
)
def test_refuses_what_is_no_shortlist(data: bytes, reason: str) -> None:
    assert isinstance(read_shortlist(stored(), vocabulary_size=V), Shortlist)
    with pytest.raises(ValueError, match=reason):
        read_shortlist(data, vocabulary_size=V)
