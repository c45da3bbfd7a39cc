"""Draws have the probabilities that the papers state: all segmentations of a word, enumerated."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from dragoman_models.segmentation_sampling import BpeSampler, UnigramSampler, words_of

DRAWS = 20_000
SCORES = {
    "a": (4, -1.0), "b": (5, -1.5), "c": (6, -2.0), "ab": (7, -1.2), "bc": (8, -2.5),
    "abc": (9, -2.2), "cc": (10, -0.5),
}  # fmt: skip
MERGES = {"a": (4, -9.0), "b": (5, -9.0), "c": (6, -9.0), "ab": (7, 0.0), "bc": (8, -1.0),
          "abc": (9, -2.0)}  # fmt: skip


def segmentations(word: str) -> Iterator[tuple[str, ...]]:
    for cuts in itertools.product((False, True), repeat=len(word) - 1):
        places = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(word)]
        yield tuple(word[a:b] for a, b in itertools.pairwise(places))


def check_frequencies(
    drawn: Counter[tuple[int, ...]], expected: Mapping[tuple[int, ...], float]
) -> None:
    """Each frequency is within five standard deviations of its probability."""
    assert set(drawn) <= set(expected)
    for ids, probability in expected.items():
        deviation = math.sqrt(probability * (1 - probability) / DRAWS)
        assert abs(drawn[ids] / DRAWS - probability) <= 5 * deviation


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_unigram_draws_by_the_smoothed_probability(alpha: float) -> None:
    """Kudo 2018, section 3.3: P(x)^alpha, over all segmentations."""
    weights = {
        tuple(SCORES[piece][0] for piece in pieces): math.exp(
            alpha * sum(SCORES[piece][1] for piece in pieces)
        )
        for pieces in segmentations("abcc")
        if all(piece in SCORES for piece in pieces)
    }
    assert len(weights) == 6
    sampler, chance = UnigramSampler(SCORES, alpha=alpha), random.Random(3)
    drawn = Counter(tuple(sampler.sample("abcc", chance) or ()) for _ in range(DRAWS))
    total = sum(weights.values())
    check_frequencies(drawn, {ids: weight / total for ids, weight in weights.items()})


def test_byte_pairs_leave_merges_out_anew_before_each() -> None:
    """Provilkov et al. 2020, algorithm 1, followed by hand for "abc": of the merges ab and bc, ab
    goes first; then, of ab c, abc; of a bc, abc."""
    p = 0.3
    first = 1 - p  # ab is made, whatever becomes of bc
    second = p * (1 - p)  # bc is
    expected = {
        (9,): (first + second) * (1 - p), (7, 6): first * p, (4, 8): second * p, (4, 5, 6): p * p,
    }  # fmt: skip
    sampler, chance = BpeSampler(MERGES, alpha=p), random.Random(3)
    drawn = Counter(tuple(sampler.sample("abc", chance) or ()) for _ in range(DRAWS))
    assert sum(expected.values()) == pytest.approx(1)
    check_frequencies(drawn, expected)


def test_a_word_that_pieces_do_not_cover_has_no_draw() -> None:
    chance = random.Random(1)
    assert UnigramSampler(SCORES, alpha=0.5).sample("abx", chance) is None
    assert UnigramSampler({}, alpha=0.5).sample("a", chance) is None
    assert BpeSampler(MERGES, alpha=0.5).sample("xab", chance) is None


def test_words_begin_with_blanks() -> None:
    pieces = ["_a", "b", "_", "c", "_d"]
    assert words_of(pieces, "_") == [range(2), range(2, 4), range(4, 5)]
    assert words_of(["a", "_b"], "_") == [range(1), range(1, 2)]
    assert words_of([], "_") == []
